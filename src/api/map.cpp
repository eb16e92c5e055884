// SPDX-License-Identifier: MIT
// bpf_map__*.
#include <cerrno>
#include <cstring>

#include "api/bpf.hpp"
#include "api/errors.hpp"
#include "api/object.hpp"
#include "spec/map_types.hpp"

using namespace ebpf;
using api::address;
using api::negative;
using api::result;

size_t api::user_value_size(spec::MapType type, u32 value_size) {
    if (!spec::info(type).percpu) return value_size;
    const u32 slots = session() ? session()->possible_cpus : 1;
    return ((size_t{value_size} + 7) & ~size_t{7}) * slots;
}

// Without pages of its own the map's content stays what was read into ours.
void api::map_content(bpf_map& map) {
    if ((map.def.flags & spec::kMapMmapable) == 0) return;
    const bool writable = (map.def.flags & spec::kMapReadOnlyProgram) == 0;
    const auto pages = session()->descriptors->native(map.fd);
    if (pages) (void)map.content.map_over(*pages, writable);
}

namespace {

size_t user_value_size(const bpf_map& map) {
    return api::user_value_size(map.def.type, map.def.value_size);
}

// The checks of libbpf's bpf_map__*_elem; 0 or the negative error.
int check_key(const bpf_map* map, size_t key_size) {
    if (!map) return negative(EINVAL);
    if (map->fd < 0) return negative(ENOENT);
    if (map->def.key_size != key_size) {
        api::print(LIBBPF_WARN, "libbpf: map '%s': unexpected key size %zu provided, expected %u\n",
                   map->name(), key_size, map->def.key_size);
        return negative(EINVAL);
    }
    return 0;
}

int check_sizes(const bpf_map* map, size_t key_size, size_t value_size) {
    if (const int status = check_key(map, key_size); status < 0) return status;
    if (user_value_size(*map) != value_size) {
        api::print(LIBBPF_WARN,
                   "libbpf: map '%s': unexpected value size %zu provided, expected %zu\n",
                   map->name(), value_size, user_value_size(*map));
        return negative(EINVAL);
    }
    return 0;
}

// A definition can change until the map is created.
int set(bpf_map* map, u32 ir::MapDef::* member, u32 value) {
    if (!map) return negative(EINVAL);
    if (map->fd >= 0) return negative(EBUSY);
    map->def.*member = value;
    return 0;
}

}  // namespace

extern "C" {

int bpf_map__fd(const struct bpf_map* map) {
    return map ? map->fd : negative(EINVAL);
}
const char* bpf_map__name(const struct bpf_map* map) {
    return map ? map->name() : nullptr;
}
enum bpf_map_type bpf_map__type(const struct bpf_map* map) {
    return static_cast<bpf_map_type>(spec::number(spec::Dialect::Linux, map->def.type));
}
__u32 bpf_map__max_entries(const struct bpf_map* map) {
    return map->def.max_entries;
}
__u32 bpf_map__map_flags(const struct bpf_map* map) {
    return map->def.flags;
}
__u32 bpf_map__key_size(const struct bpf_map* map) {
    return map->def.key_size;
}
__u32 bpf_map__value_size(const struct bpf_map* map) {
    return map->def.value_size;
}
int bpf_map__set_max_entries(struct bpf_map* map, __u32 max_entries) {
    return set(map, &ir::MapDef::max_entries, max_entries);
}
int bpf_map__set_map_flags(struct bpf_map* map, __u32 flags) {
    return set(map, &ir::MapDef::flags, flags);
}
int bpf_map__set_key_size(struct bpf_map* map, __u32 size) {
    return set(map, &ir::MapDef::key_size, size);
}
// A data section's value is its content: its size is the object's.
int bpf_map__set_value_size(struct bpf_map* map, __u32 size) {
    if (map && map->def.is_data_section) return negative(EOPNOTSUPP);
    return set(map, &ir::MapDef::value_size, size);
}

int bpf_map__reuse_fd(struct bpf_map* map, int fd) {
    if (!map) return negative(EINVAL);
    if (map->fd >= 0) return negative(EBUSY);
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (const int status = bpf_obj_get_info_by_fd(fd, &info, &size); status < 0) return status;
    const auto type = spec::map_type_from_number(spec::Dialect::Linux, info.type);
    if (!type) return negative(EINVAL);
    // A second handle of ours: the caller's descriptor stays his.
    const int own = bpf_map_get_fd_by_id(info.id);
    if (own < 0) return own;
    map->fd = own;
    map->reused = true;
    map->def.type = *type;
    map->def.key_size = info.key_size;
    map->def.value_size = info.value_size;
    map->def.max_entries = info.max_entries;
    map->def.flags = info.map_flags;
    return 0;
}

bool bpf_map__is_internal(const struct bpf_map* map) {
    return map->def.is_data_section;
}

int bpf_map__set_initial_value(struct bpf_map* map, const void* data, size_t size) {
    if (!map || !map->def.is_data_section || map->fd >= 0) return negative(map ? EBUSY : EINVAL);
    if (!data || size != map->def.value_size) return negative(EINVAL);
    const auto* bytes = static_cast<const std::byte*>(data);
    map->def.initial.assign(bytes, bytes + size);
    if (map->content) std::memcpy(map->content.data(), data, size);
    return 0;
}

// After the load, the map's pages, where it has some.
const void* bpf_map__initial_value(struct bpf_map* map, size_t* psize) {
    if (!map || !map->def.is_data_section) return api::null(EINVAL);
    if (!map->content) {
        auto made = platform::SectionMemory::create(map->def.initial, map->def.value_size);
        if (!made) return api::null(made.error());
        map->content = std::move(*made);
        if (map->fd >= 0) api::map_content(*map);
    }
    if (psize) *psize = map->def.value_size;
    return map->content.data();
}

// --- Elements ------------------------------------------------------------------------------------

int bpf_map__lookup_elem(const struct bpf_map* map, const void* key, size_t key_sz, void* value,
                         size_t value_sz, __u64 flags) {
    const int status = check_sizes(map, key_sz, value_sz);
    return status < 0 ? status : bpf_map_lookup_elem_flags(map->fd, key, value, flags);
}

int bpf_map__update_elem(const struct bpf_map* map, const void* key, size_t key_sz,
                         const void* value, size_t value_sz, __u64 flags) {
    const int status = check_sizes(map, key_sz, value_sz);
    return status < 0 ? status : bpf_map_update_elem(map->fd, key, value, flags);
}

int bpf_map__delete_elem(const struct bpf_map* map, const void* key, size_t key_sz, __u64 flags) {
    const int status = check_key(map, key_sz);
    return status < 0 ? status : bpf_map_delete_elem_flags(map->fd, key, flags);
}

int bpf_map__lookup_and_delete_elem(const struct bpf_map* map, const void* key, size_t key_sz,
                                    void* value, size_t value_sz, __u64 flags) {
    const int status = check_sizes(map, key_sz, value_sz);
    return status < 0 ? status : bpf_map_lookup_and_delete_elem_flags(map->fd, key, value, flags);
}

int bpf_map__get_next_key(const struct bpf_map* map, const void* cur_key, void* next_key,
                          size_t key_sz) {
    const int status = check_key(map, key_sz);
    return status < 0 ? status : bpf_map_get_next_key(map->fd, cur_key, next_key);
}

// --- Pins ----------------------------------------------------------------------------------------

int bpf_map__set_pin_path(struct bpf_map* map, const char* path) {
    if (!map) return negative(EINVAL);
    map->pin_path = path ? path : "";
    return 0;
}
const char* bpf_map__pin_path(const struct bpf_map* map) {
    return map && !map->pin_path.empty() ? map->pin_path.c_str() : nullptr;
}
bool bpf_map__is_pinned(const struct bpf_map* map) {
    return map->pinned;
}

int bpf_map__pin(struct bpf_map* map, const char* path) {
    if (!map) return negative(EINVAL);
    if (map->pinned) return path && map->pin_path != path ? negative(EINVAL) : 0;
    if (path && !map->pin_path.empty() && map->pin_path != path) return negative(EINVAL);
    const std::string target = path ? path : map->pin_path;
    if (target.empty()) return negative(EINVAL);
    if (const int status = bpf_obj_pin(map->fd, target.c_str()); status < 0) return status;
    map->pin_path = target;
    map->pinned = true;
    return 0;
}

int bpf_map__unpin(struct bpf_map* map, const char* path) {
    if (!map) return negative(EINVAL);
    const std::string target = path ? path : map->pin_path;
    if (target.empty() || (!map->pin_path.empty() && map->pin_path != target))
        return negative(EINVAL);
    spec::ObjUnpinAttr attr{.pathname = address(target.c_str())};
    const int status = result(api::bpf(spec::Command::ObjUnpin, attr));
    if (status == 0) map->pinned = false;
    return status;
}

}  // extern "C"
