// SPDX-License-Identifier: MIT
// bpf/bpf.h: one function per command.
#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

#include "api/bpf.hpp"
#include "api/errors.hpp"
#include "api/opts.hpp"

using namespace ebpf;
using api::address;
using api::bpf;
using api::known;
using api::negative;
using api::result;
using api::valid;
using spec::Command;

namespace {

u32 fd(int descriptor) {
    return static_cast<u32>(descriptor);
}

// Linux takes 15 characters; libbpf cuts a longer name.
spec::ObjectName object_name(const char* name) {
    spec::ObjectName out{};
    if (name) std::copy_n(name, strnlen(name, out.size() - 1), out.begin());
    return out;
}

template <typename Attr>
int next_id(Command command, u32 start, u32* next) {
    Attr attr{.start_id = start};
    const int status = result(bpf(command, attr));
    if (status == 0) *next = attr.next_id;
    return status;
}

}  // namespace

extern "C" {

// --- Maps ----------------------------------------------------------------------------------------

int bpf_map_create(enum bpf_map_type map_type, const char* map_name, __u32 key_size,
                   __u32 value_size, __u32 max_entries, const struct bpf_map_create_opts* opts) {
    if (!valid(opts)) return negative(EINVAL);
    const bpf_map_create_opts o = known(opts);
    spec::MapCreateAttr attr{.map_type = map_type,
                             .key_size = key_size,
                             .value_size = value_size,
                             .max_entries = max_entries,
                             .map_flags = o.map_flags,
                             .inner_map_fd = o.inner_map_fd,
                             .numa_node = o.numa_node,
                             .map_name = object_name(map_name),
                             .map_ifindex = o.map_ifindex,
                             .btf_fd = o.btf_fd,
                             .btf_key_type_id = o.btf_key_type_id,
                             .btf_value_type_id = o.btf_value_type_id,
                             .btf_vmlinux_value_type_id = o.btf_vmlinux_value_type_id,
                             .map_extra = o.map_extra};
    return result(bpf(Command::MapCreate, attr));
}

int bpf_map_update_elem(int map, const void* key, const void* value, __u64 flags) {
    spec::MapUpdateElemAttr attr{
        .map_fd = fd(map), .key = address(key), .value = address(value), .flags = flags};
    return result(bpf(Command::MapUpdateElem, attr));
}

int bpf_map_lookup_elem(int map, const void* key, void* value) {
    return bpf_map_lookup_elem_flags(map, key, value, 0);
}

int bpf_map_lookup_elem_flags(int map, const void* key, void* value, __u64 flags) {
    spec::MapLookupElemAttr attr{
        .map_fd = fd(map), .key = address(key), .value = address(value), .flags = flags};
    return result(bpf(Command::MapLookupElem, attr));
}

int bpf_map_lookup_and_delete_elem(int map, const void* key, void* value) {
    return bpf_map_lookup_and_delete_elem_flags(map, key, value, 0);
}

int bpf_map_lookup_and_delete_elem_flags(int map, const void* key, void* value, __u64 flags) {
    spec::MapLookupAndDeleteElemAttr attr{
        .map_fd = fd(map), .key = address(key), .value = address(value), .flags = flags};
    return result(bpf(Command::MapLookupAndDeleteElem, attr));
}

int bpf_map_delete_elem(int map, const void* key) {
    return bpf_map_delete_elem_flags(map, key, 0);
}

// Linux's command has no flags yet; libbpf passes them on and the kernel refuses others than 0.
int bpf_map_delete_elem_flags(int map, const void* key, __u64 flags) {
    if (flags) return negative(EINVAL);
    spec::MapDeleteElemAttr attr{.map_fd = fd(map), .key = address(key)};
    return result(bpf(Command::MapDeleteElem, attr));
}

int bpf_map_get_next_key(int map, const void* key, void* next_key) {
    spec::MapGetNextKeyAttr attr{
        .map_fd = fd(map), .key = address(key), .next_key = address(next_key)};
    return result(bpf(Command::MapGetNextKey, attr));
}

int bpf_map_freeze(int map) {
    spec::MapFreezeAttr attr{.map_fd = fd(map)};
    return result(bpf(Command::MapFreeze, attr));
}

// --- Programs ------------------------------------------------------------------------------------

int bpf_prog_load(enum bpf_prog_type prog_type, const char* prog_name, const char* license,
                  const struct bpf_insn* insns, size_t insn_cnt,
                  const struct bpf_prog_load_opts* opts) {
    if (!valid(opts)) return negative(EINVAL);
    const bpf_prog_load_opts o = known(opts);
    if (insn_cnt > UINT32_MAX) return negative(E2BIG);
    spec::ProgLoadAttr attr{.prog_type = prog_type,
                            .insn_cnt = static_cast<u32>(insn_cnt),
                            .insns = address(insns),
                            .license = address(license),
                            .log_level = o.log_level,
                            .log_size = o.log_size,
                            .log_buf = address(o.log_buf),
                            .kern_version = o.kern_version,
                            .prog_flags = o.prog_flags,
                            .prog_name = object_name(prog_name),
                            .prog_ifindex = o.prog_ifindex,
                            .expected_attach_type = o.expected_attach_type,
                            .prog_btf_fd = o.prog_btf_fd,
                            .func_info_rec_size = o.func_info_rec_size,
                            .func_info = address(o.func_info),
                            .func_info_cnt = o.func_info_cnt,
                            .line_info_rec_size = o.line_info_rec_size,
                            .line_info = address(o.line_info),
                            .line_info_cnt = o.line_info_cnt,
                            .attach_btf_id = o.attach_btf_id,
                            .attach_prog_fd = o.attach_prog_fd,
                            .fd_array = address(o.fd_array)};
    // A log without a level means: only when the load fails (libbpf since 0.6).
    char* const late_log = o.log_level == 0 ? o.log_buf : nullptr;
    if (late_log) attr.log_buf = attr.log_size = 0;
    int status = result(bpf(Command::ProgLoad, attr));
    if (status < 0 && late_log && o.log_size) {
        attr.log_level = 1;
        attr.log_buf = address(late_log);
        attr.log_size = o.log_size;
        status = result(bpf(Command::ProgLoad, attr));
    }
    return status;
}

int bpf_prog_test_run_opts(int prog, struct bpf_test_run_opts* opts) {
    if (!opts || !valid(opts)) return negative(EINVAL);
    const bpf_test_run_opts o = known(opts);
    spec::ProgTestRunAttr attr{.prog_fd = fd(prog),
                               .data_size_in = o.data_size_in,
                               .data_size_out = o.data_size_out,
                               .data_in = address(o.data_in),
                               .data_out = address(o.data_out),
                               .repeat = static_cast<u32>(o.repeat),
                               .ctx_size_in = o.ctx_size_in,
                               .ctx_size_out = o.ctx_size_out,
                               .ctx_in = address(o.ctx_in),
                               .ctx_out = address(o.ctx_out),
                               .flags = o.flags,
                               .cpu = o.cpu,
                               .batch_size = o.batch_size};
    const int status = result(bpf(Command::ProgTestRun, attr));
    if (EBPF_OPTS_HAS(opts, data_size_out)) opts->data_size_out = attr.data_size_out;
    if (EBPF_OPTS_HAS(opts, ctx_size_out)) opts->ctx_size_out = attr.ctx_size_out;
    if (EBPF_OPTS_HAS(opts, retval)) opts->retval = attr.retval;
    if (EBPF_OPTS_HAS(opts, duration)) opts->duration = attr.duration;
    return status;
}

// --- Type information ----------------------------------------------------------------------------

int bpf_btf_load(const void* btf_data, size_t btf_size, const struct bpf_btf_load_opts* opts) {
    if (!valid(opts)) return negative(EINVAL);
    const bpf_btf_load_opts o = known(opts);
    if (btf_size > UINT32_MAX) return negative(E2BIG);
    if (o.log_size && !o.log_buf) return negative(EINVAL);
    spec::BtfLoadAttr attr{.btf = address(btf_data),
                           .btf_log_buf = address(o.log_buf),
                           .btf_size = static_cast<u32>(btf_size),
                           .btf_log_size = o.log_size,
                           .btf_log_level = o.log_level};
    // A log without a level means: only when the load fails.
    const bool late = o.log_level == 0 && o.log_buf;
    if (late) attr.btf_log_buf = attr.btf_log_size = 0;
    int status = result(bpf(Command::BtfLoad, attr));
    if (status < 0 && late) {
        attr.btf_log_level = 1;
        attr.btf_log_buf = address(o.log_buf);
        attr.btf_log_size = o.log_size;
        status = result(bpf(Command::BtfLoad, attr));
    }
    return status;
}

// --- Pins and ids --------------------------------------------------------------------------------

int bpf_obj_pin(int object, const char* pathname) {
    spec::ObjPinAttr attr{.pathname = address(pathname), .bpf_fd = fd(object)};
    return result(bpf(Command::ObjPin, attr));
}

int bpf_obj_get(const char* pathname) {
    return bpf_obj_get_opts(pathname, nullptr);
}

int bpf_obj_get_opts(const char* pathname, const struct bpf_obj_get_opts* opts) {
    if (!valid(opts)) return negative(EINVAL);
    spec::ObjGetAttr attr{.pathname = address(pathname), .file_flags = known(opts).file_flags};
    return result(bpf(Command::ObjGet, attr));
}

int bpf_prog_get_next_id(__u32 start_id, __u32* next) {
    return next_id<spec::ProgGetNextIdAttr>(Command::ProgGetNextId, start_id, next);
}
int bpf_map_get_next_id(__u32 start_id, __u32* next) {
    return next_id<spec::MapGetNextIdAttr>(Command::MapGetNextId, start_id, next);
}
int bpf_btf_get_next_id(__u32 start_id, __u32* next) {
    return next_id<spec::BtfGetNextIdAttr>(Command::BtfGetNextId, start_id, next);
}
int bpf_link_get_next_id(__u32 start_id, __u32* next) {
    return next_id<spec::LinkGetNextIdAttr>(Command::LinkGetNextId, start_id, next);
}

int bpf_prog_get_fd_by_id(__u32 id) {
    spec::ProgGetFdByIdAttr attr{.prog_id = id};
    return result(bpf(Command::ProgGetFdById, attr));
}
int bpf_map_get_fd_by_id(__u32 id) {
    spec::MapGetFdByIdAttr attr{.map_id = id};
    return result(bpf(Command::MapGetFdById, attr));
}
int bpf_btf_get_fd_by_id(__u32 id) {
    spec::BtfGetFdByIdAttr attr{.btf_id = id};
    return result(bpf(Command::BtfGetFdById, attr));
}
int bpf_link_get_fd_by_id(__u32 id) {
    spec::LinkGetFdByIdAttr attr{.link_id = id};
    return result(bpf(Command::LinkGetFdById, attr));
}

int bpf_obj_get_info_by_fd(int object, void* info, __u32* info_len) {
    if (!info_len) return negative(EINVAL);
    spec::ObjGetInfoByFdAttr attr{
        .bpf_fd = fd(object), .info_len = *info_len, .info = address(info)};
    const int status = result(bpf(Command::ObjGetInfoByFd, attr));
    if (status == 0) *info_len = attr.info_len;
    return status;
}

int bpf_enable_stats(enum bpf_stats_type type) {
    spec::EnableStatsAttr attr{.type = static_cast<u32>(type)};
    return result(bpf(Command::EnableStats, attr));
}

// --- Links ---------------------------------------------------------------------------------------

int bpf_link_create(int prog, int target, enum bpf_attach_type attach_type,
                    const struct bpf_link_create_opts* opts) {
    if (!valid(opts)) return negative(EINVAL);
    const bpf_link_create_opts o = known(opts);
    spec::LinkCreateAttr attr{.prog_fd = fd(prog),
                              .target_fd = fd(target),
                              .attach_type = attach_type,
                              .flags = o.flags,
                              .iter_info = address(o.iter_info),
                              .iter_info_len = o.iter_info_len};
    return result(bpf(Command::LinkCreate, attr));
}

int bpf_link_detach(int link) {
    spec::LinkDetachAttr attr{.link_fd = fd(link)};
    return result(bpf(Command::LinkDetach, attr));
}

int bpf_link_update(int link, int new_prog, const struct bpf_link_update_opts* opts) {
    if (!valid(opts)) return negative(EINVAL);
    const bpf_link_update_opts o = known(opts);
    spec::LinkUpdateAttr attr{.link_fd = fd(link),
                              .new_prog_fd = fd(new_prog),
                              .flags = o.flags,
                              .old_prog_fd = o.old_prog_fd};
    return result(bpf(Command::LinkUpdate, attr));
}

}  // extern "C"
