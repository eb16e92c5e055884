// SPDX-License-Identifier: MIT
//
// Arrays and per-CPU arrays: flat memory, values at multiples of 8 bytes; of a per-CPU array one
// block per slot, which share no cache line. (Linux: kernel/bpf/arraymap.c) The values of an array
// that applications map (BPF_F_MMAPABLE), and of others where Config::shared_arrays says so, lie in
// pages of their own, with the same layout.
#include <cstring>

#include "platform/memory.hpp"
#include "runtime/map_value.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

u32 index_of(const void* key) {
    u32 index;
    std::memcpy(&index, key, sizeof index);
    return index;
}

// Bytes of one slot's values.
u64 block_bytes(const Map& map) {
    const u64 bytes = u64{map.value_stride} * map.max_entries;
    return map.info->percpu ? code::percpu_block(bytes) : bytes;
}

std::byte* entry(const Map& map, u32 index, u32 slot = 0) {
    return static_cast<std::byte*>(map.state) + slot * block_bytes(map) +
           u64{index} * map.value_stride;
}

u32 blocks(const Map& map) {
    return map.info->percpu ? map.slots : 1;
}

// Whether applications may map the values.
bool is_mapped(const Map& map) {
    return (map.flags & spec::kMapMmapable) != 0;
}

Status create_in_pages(Map& map, u64 bytes) {
    TRY_ASSIGN(map.pages, platform::create_shared(bytes));
    map.state = map.pages.base;
    // What applications may not write is sealed, whatever descriptor they come by; so what programs
    // only read is constant once it is frozen.
    const bool writable = spec::is_mapped_writable(map.flags);
    Status sealed = writable ? Status{} : platform::seal_shared(map.pages);
    if (!sealed) {
        platform::destroy_shared(map.pages);
        map.pages = {};
    }
    return sealed;
}

// For lookups by others: an array whose values cannot be shared is as good without.
bool create_shared_values(Map& map, u64 bytes) {
    if (map.info->percpu || !map.runtime->take_shared_array()) return false;
    if (create_in_pages(map, bytes)) return true;
    map.runtime->drop_shared_array();
    return false;
}

Status create(Map& map) {
    if (block_bytes(map) > kMaxBlockBytes / blocks(map)) {
        return fail(Errc::TooLarge, {}, "array size in entries", map.max_entries);
    }
    const u64 bytes = block_bytes(map) * blocks(map);
    if (is_mapped(map)) return create_in_pages(map, bytes);
    if (create_shared_values(map, bytes)) return {};
    map.state = platform::allocate(bytes);
    if (map.state == nullptr) return fail(Errc::NoMemory, {}, "array", bytes);
    return {};
}

void destroy(Map& map) {
    if (map.pages.base == nullptr) return platform::release(map.state);
    platform::destroy_shared(map.pages);
    if (!is_mapped(map)) map.runtime->drop_shared_array();
}

void* lookup(Map& map, const void* key, u32) {
    const u32 index = index_of(key);
    return index < map.max_entries ? entry(map, index) : nullptr;
}

void* lookup_percpu(Map& map, const void* key, u32 slot) {
    const u32 index = index_of(key);
    return index < map.max_entries ? entry(map, index, slot) : nullptr;
}

bool takes_update(const Map& map, u32 index, u64 flags) {
    return index < map.max_entries && (flags == kUpdateAny || flags == kUpdateExist);
}

[[gnu::cold]] Status refuse_update(u32 index, u64 flags, u32 entries) {
    if (flags > kUpdateExist) return fail(Errc::InvalidArgument, {}, "flags", flags);
    if (index >= entries) return fail(Errc::TooLarge, {}, "index", index);
    return fail(Errc::KeyAlreadyExists, {}, "index", index);
}

Status update(Map& map, const void* key, const void* value, u64 flags, u32) {
    const u32 index = index_of(key);
    if (!takes_update(map, index, flags)) return refuse_update(index, flags, map.max_entries);
    std::byte* const at = entry(map, index);
    write_value(map, at, value);
    end_timer(map, at, false);
    return {};
}

Status update_percpu(Map& map, const void* key, const void* value, u64 flags, u32 slot) {
    const u32 index = index_of(key);
    if (!takes_update(map, index, flags)) return refuse_update(index, flags, map.max_entries);
    copy_words(entry(map, index, slot), value, map.value_size);
    return {};
}

Status remove(Map&, const void*) {
    return fail(Errc::InvalidArgument, {}, "an array's entries cannot be deleted");
}

Status read(Map& map, const void* key, void* value) {
    const u32 index = index_of(key);
    if (index >= map.max_entries) return fail(Errc::KeyNotFound, {}, "index", index);
    read_value(map, value, entry(map, index));
    return {};
}

Status read_percpu(Map& map, const void* key, void* value) {
    const u32 index = index_of(key);
    if (index >= map.max_entries) return fail(Errc::KeyNotFound, {}, "index", index);
    auto* out = static_cast<std::byte*>(value);
    for (u32 slot = 0; slot < map.slots; ++slot, out += map.value_stride) {
        read_words(out, entry(map, index, slot), map.value_stride);
    }
    return {};
}

Status write(Map& map, const void* key, const void* value, u64 flags) {
    return update(map, key, value, flags, 0);
}

Status write_percpu(Map& map, const void* key, const void* value, u64 flags) {
    const u32 index = index_of(key);
    if (!takes_update(map, index, flags)) return refuse_update(index, flags, map.max_entries);
    const auto* from = static_cast<const std::byte*>(value);
    for (u32 slot = 0; slot < map.slots; ++slot, from += map.value_stride) {
        copy_words(entry(map, index, slot), from, map.value_size);
    }
    return {};
}

// A key that is no index restarts at 0, as Linux does.
Status next_key(Map& map, const void* key, void* next) {
    const u32 index = key != nullptr ? index_of(key) : ~u32{0};
    if (index == map.max_entries - 1) return fail(Errc::NoMoreKeys, {}, "index", index);
    const u32 following = index < map.max_entries ? index + 1 : 0;
    std::memcpy(next, &following, sizeof following);
    return {};
}

u64 for_each(Map& map, u32 slot, const Visitor& visitor) {
    for (u32 index = 0; index < map.max_entries; ++index) {
        void* value = entry(map, index, map.info->percpu ? slot : 0);
        if (!visitor.visit(visitor.self, &index, value)) return index + 1;
    }
    return map.max_entries;
}

void* value_address(Map& map, u32 offset) {
    return offset < map.value_size ? static_cast<std::byte*>(map.state) + offset : nullptr;
}

const void* key_of(const Map& map, const void* value, u32& index) {
    const auto offset = static_cast<const std::byte*>(value) - entry(map, 0);
    index = static_cast<u32>(static_cast<u64>(offset) / map.value_stride);
    return &index;
}

bool memory(const Map& map, u32 part, MapMemory& memory) {
    // Linux: a lock or timer is nothing for applications to write; nor is it to be seen.
    if (map.pages.base == nullptr || map.fields.any()) return false;
    if (part != (is_mapped(map) ? 0 : kLookupPart)) return false;
    memory.pages = map.pages;
    if ((map.flags & spec::kMapWriteOnly) == 0) memory.access |= kMemoryRead;
    if (spec::is_mapped_writable(map.flags)) memory.access |= kMemoryWrite;
    return true;
}

}  // namespace

const void* array_values(const Map& map) {
    return map.ops == &kArrayOps || map.ops == &kPercpuArrayOps ? map.state : nullptr;
}

const MapOps kArrayOps = {.create = create,
                          .destroy = destroy,
                          .lookup = lookup,
                          .update = update,
                          .remove = remove,
                          .for_each = for_each,
                          .read = read,
                          .write = write,
                          .next_key = next_key,
                          .value_address = value_address,
                          .key_of = key_of,
                          .memory = memory};

const MapOps kPercpuArrayOps = {.create = create,
                                .destroy = destroy,
                                .lookup = lookup_percpu,
                                .update = update_percpu,
                                .remove = remove,
                                .for_each = for_each,
                                .read = read_percpu,
                                .write = write_percpu,
                                .next_key = next_key};

}  // namespace ebpf::runtime
