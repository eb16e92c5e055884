// SPDX-License-Identifier: MIT
//
// bpf_map_*_batch(), element by element: the execution context has no such commands yet, so a batch
// is not faster than the single calls here, and as little atomic as Linux's.
//
// A lookup goes on at the position that the last one wrote to out_batch. Applications give 4 bytes
// for it, whatever the key's size, because that is what Linux's hash maps use. A key of at most 4
// bytes is its own position. With longer keys there is no position, and a batch must take all that
// is left: else it fails with -ENOSPC, which is Linux's answer to a batch that is too small.
#include <cerrno>
#include <cstring>
#include <vector>

#include "api/bpf.hpp"
#include "api/errors.hpp"
#include "api/opts.hpp"
#include "spec/map_types.hpp"

using namespace ebpf;
using api::negative;

namespace {

constexpr size_t kPosition = 4;

// What the functions have in common: checked arguments and the map's sizes.
struct Batch {
    int map = -1;
    u32 wanted = 0;
    u64 elem_flags = 0;
    size_t key_size = 0;
    size_t value_size = 0;

    // 0 or the negative error; *count is 0 from then on, and counts what was done.
    int prepare(int fd, u32* count, const bpf_map_batch_opts* opts) {
        if (!count || !api::valid(opts)) return negative(EINVAL);
        const bpf_map_batch_opts o = api::known(opts);
        if (o.flags) return negative(EINVAL);
        bpf_map_info info{};
        __u32 size = sizeof info;
        if (const int status = bpf_obj_get_info_by_fd(fd, &info, &size); status < 0) return status;
        const auto type = spec::map_type_from_number(spec::Dialect::Linux, info.type);
        if (!type) return negative(EINVAL);
        map = fd;
        wanted = *count;
        elem_flags = o.elem_flags;
        key_size = info.key_size;
        value_size = api::user_value_size(*type, info.value_size);
        *count = 0;
        return 0;
    }
};

const char* at(const void* array, size_t size, u32 index) {
    return static_cast<const char*>(array) + size * index;
}
char* at(void* array, size_t size, u32 index) {
    return static_cast<char*>(array) + size * index;
}

// Copies elements behind `key` (empty: from the start), which becomes the last one's. -ENOENT after
// the last element, whether it was copied or not.
int copy(const Batch& batch, std::vector<char>& key, void* keys, void* values, u32* count) {
    std::vector<char> next(batch.key_size);
    while (*count < batch.wanted) {
        const int found =
            bpf_map_get_next_key(batch.map, key.empty() ? nullptr : key.data(), next.data());
        if (found < 0) return found;
        const int status = bpf_map_lookup_elem_flags(
            batch.map, next.data(), at(values, batch.value_size, *count), batch.elem_flags);
        key = next;
        if (status == -ENOENT) continue;  // gone in the meantime, or an empty slot
        if (status < 0) return status;
        std::memcpy(at(keys, batch.key_size, *count), next.data(), batch.key_size);
        ++*count;
    }
    return 0;
}

int look_up(const Batch& batch, const void* in_batch, void* out_batch, void* keys, void* values,
            u32* count) {
    const bool has_position = batch.key_size <= kPosition;
    std::vector<char> key;
    if (in_batch) {
        if (!has_position) return negative(ENOENT);  // the one batch that there is took everything
        key.assign(at(in_batch, 0, 0), at(in_batch, 0, 0) + batch.key_size);
    }
    const int status = copy(batch, key, keys, values, count);
    if (has_position) {
        if (!key.empty()) std::memcpy(out_batch, key.data(), key.size());
        return status;
    }
    if (status < 0) return status;
    std::vector<char> more(batch.key_size);
    const int rest = bpf_map_get_next_key(batch.map, key.data(), more.data());
    if (rest < 0) return rest;  // -ENOENT: it fitted exactly
    *count = 0;
    return negative(ENOSPC);
}

// Always from the start: what was taken is no longer there.
int take(const Batch& batch, void* keys, void* values, u32* count) {
    while (*count < batch.wanted) {
        char* const key = at(keys, batch.key_size, *count);
        if (const int found = bpf_map_get_next_key(batch.map, nullptr, key); found < 0)
            return found;
        const int status = bpf_map_lookup_and_delete_elem_flags(
            batch.map, key, at(values, batch.value_size, *count), batch.elem_flags);
        if (status == -ENOENT) continue;  // somebody else was quicker
        if (status < 0) return status;
        ++*count;
    }
    return 0;
}

}  // namespace

extern "C" {

int bpf_map_lookup_batch(int fd, void* in_batch, void* out_batch, void* keys, void* values,
                         __u32* count, const struct bpf_map_batch_opts* opts) {
    Batch batch;
    if (const int status = batch.prepare(fd, count, opts); status < 0) return status;
    if (batch.wanted == 0) return 0;
    if (!out_batch || !keys || !values) return negative(EFAULT);
    try {
        return look_up(batch, in_batch, out_batch, keys, values, count);
    } catch (const std::bad_alloc&) {
        return negative(ENOMEM);
    }
}

int bpf_map_lookup_and_delete_batch(int fd, void* in_batch, void* out_batch, void* keys,
                                    void* values, __u32* count,
                                    const struct bpf_map_batch_opts* opts) {
    (void)in_batch;
    Batch batch;
    if (const int status = batch.prepare(fd, count, opts); status < 0) return status;
    if (batch.wanted == 0) return 0;
    if (!out_batch || !keys || !values) return negative(EFAULT);
    return take(batch, keys, values, count);
}

int bpf_map_update_batch(int fd, const void* keys, const void* values, __u32* count,
                         const struct bpf_map_batch_opts* opts) {
    Batch batch;
    if (const int status = batch.prepare(fd, count, opts); status < 0) return status;
    if (batch.wanted != 0 && (!keys || !values)) return negative(EFAULT);
    for (; *count < batch.wanted; ++*count) {
        const int status =
            bpf_map_update_elem(fd, at(keys, batch.key_size, *count),
                                at(values, batch.value_size, *count), batch.elem_flags);
        if (status < 0) return status;
    }
    return 0;
}

int bpf_map_delete_batch(int fd, const void* keys, __u32* count,
                         const struct bpf_map_batch_opts* opts) {
    Batch batch;
    if (const int status = batch.prepare(fd, count, opts); status < 0) return status;
    if (batch.wanted != 0 && !keys) return negative(EFAULT);
    for (; *count < batch.wanted; ++*count) {
        const int status =
            bpf_map_delete_elem_flags(fd, at(keys, batch.key_size, *count), batch.elem_flags);
        if (status < 0) return status;
    }
    return 0;
}

}  // extern "C"
