// SPDX-License-Identifier: MIT
//
// bpf_map_*_batch(): the commands of the same names (runtime/command_map_batch.cpp). `count` says
// how many elements were done, also when a call fails.
#include <cerrno>

#include "api/bpf.hpp"
#include "api/errors.hpp"
#include "api/opts.hpp"

using namespace ebpf;
using api::negative;

namespace {

// Fills what the four commands have in common, calls, and hands back the count.
template <typename Attr>
int run(spec::Command command, Attr attr, int fd, __u32* count, const bpf_map_batch_opts* opts) {
    if (!count || !api::valid(opts)) return negative(EINVAL);
    const bpf_map_batch_opts o = api::known(opts);
    attr.map_fd = static_cast<u32>(fd);
    attr.count = *count;
    attr.elem_flags = o.elem_flags;
    attr.flags = o.flags;
    const int status = api::result(api::bpf(command, attr));
    *count = attr.count;
    return status;
}

u64 at(const void* pointer) {
    return reinterpret_cast<u64>(pointer);
}

}  // namespace

extern "C" {

int bpf_map_lookup_batch(int fd, void* in_batch, void* out_batch, void* keys, void* values,
                         __u32* count, const struct bpf_map_batch_opts* opts) {
    const spec::MapLookupBatchAttr attr{.in_batch = at(in_batch),
                                        .out_batch = at(out_batch),
                                        .keys = at(keys),
                                        .values = at(values)};
    return run(spec::Command::MapLookupBatch, attr, fd, count, opts);
}

int bpf_map_lookup_and_delete_batch(int fd, void* in_batch, void* out_batch, void* keys,
                                    void* values, __u32* count,
                                    const struct bpf_map_batch_opts* opts) {
    const spec::MapLookupAndDeleteBatchAttr attr{.in_batch = at(in_batch),
                                                 .out_batch = at(out_batch),
                                                 .keys = at(keys),
                                                 .values = at(values)};
    return run(spec::Command::MapLookupAndDeleteBatch, attr, fd, count, opts);
}

int bpf_map_update_batch(int fd, const void* keys, const void* values, __u32* count,
                         const struct bpf_map_batch_opts* opts) {
    const spec::MapUpdateBatchAttr attr{.keys = at(keys), .values = at(values)};
    return run(spec::Command::MapUpdateBatch, attr, fd, count, opts);
}

int bpf_map_delete_batch(int fd, const void* keys, __u32* count,
                         const struct bpf_map_batch_opts* opts) {
    const spec::MapDeleteBatchAttr attr{.keys = at(keys)};
    return run(spec::Command::MapDeleteBatch, attr, fd, count, opts);
}

}  // extern "C"
