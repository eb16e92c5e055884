// SPDX-License-Identifier: MIT
// bpf_link__*, and XDP attachments without a link.
#include "api/link.hpp"

#include <bpf/libbpf.h>

#include <bit>
#include <cerrno>
#include <memory>

#include "api/bpf.hpp"
#include "api/errors.hpp"
#include "api/object.hpp"
#include "api/opts.hpp"

using namespace ebpf;
using api::address;
using api::negative;
using api::result;

namespace {

// XDP_FLAGS_* and XDP_ATTACHED_* of Linux's if_link.h. Which driver runs the program (the modes)
// makes no difference here.
constexpr u32 kXdpHardware = 0x08, kXdpReplace = 0x10;
constexpr u32 kXdpModes = 0x02 | 0x04 | kXdpHardware;
constexpr u32 kXdpFlags = kXdpModes | 0x01 | kXdpReplace;  // and "if there is none", "replace"
constexpr u8 kAttachedNone = 0, kAttachedSkb = 2;

int attach_xdp(int ifindex, int prog_fd, u32 flags, const bpf_xdp_attach_opts* opts) {
    if (!api::valid(opts) || ifindex <= 0) return negative(EINVAL);
    const int old = api::known(opts).old_prog_fd;
    if ((flags & ~kXdpFlags) || std::popcount(flags & kXdpModes) > 1) return negative(EINVAL);
    if (flags & kXdpHardware) return negative(EOPNOTSUPP);
    if (old) flags |= kXdpReplace;
    api::sweep_descriptors();  // a link whose descriptor was closed is attached no more
    if (prog_fd < 0) {
        spec::ProgDetachAttr attr{.target_fd = static_cast<u32>(ifindex),
                                  .attach_bpf_fd = old > 0 ? static_cast<u32>(old) : 0,
                                  .attach_type = BPF_XDP,
                                  .attach_flags = flags & kXdpReplace};
        const int status = result(api::bpf(spec::Command::ProgDetach, attr));
        if (status != -ENOENT) return status;
        return old > 0 ? negative(EEXIST) : 0;  // Linux: nothing to do is done
    }
    spec::ProgAttachAttr attr{.target_fd = static_cast<u32>(ifindex),
                              .attach_bpf_fd = static_cast<u32>(prog_fd),
                              .attach_type = BPF_XDP,
                              .attach_flags = flags & ~kXdpModes,
                              .replace_bpf_fd = old > 0 ? static_cast<u32>(old) : 0};
    return result(api::bpf(spec::Command::ProgAttach, attr));
}

}  // namespace

extern "C" {

struct bpf_link* bpf_program__attach_xdp(const struct bpf_program* prog, int ifindex) {
    if (!prog || prog->fd < 0) {
        api::print(LIBBPF_WARN, "libbpf: prog '%s': can't attach before loaded\n",
                   prog ? prog->name() : "(null)");
        return api::null(EINVAL);
    }
    const int fd = bpf_link_create(prog->fd, ifindex, BPF_XDP, nullptr);
    if (fd < 0) {
        const int error = -fd;
        api::print(LIBBPF_WARN, "libbpf: prog '%s': failed to attach to interface %d\n",
                   prog->name(), ifindex);
        return api::null(error);
    }
    return new bpf_link{.fd = fd, .pin_path = {}};
}

// Only hooks whose section name says everything about the target can be attached like this; XDP
// needs an interface.
struct bpf_link* bpf_program__attach(const struct bpf_program* prog) {
    return api::null(prog && prog->fd >= 0 ? EOPNOTSUPP : EINVAL);
}

struct bpf_link* bpf_link__open(const char* path) {
    const int fd = bpf_obj_get(path);
    if (fd < 0) return api::null(-fd);
    return new bpf_link{.fd = fd, .pin_path = path};
}

int bpf_link__fd(const struct bpf_link* link) {
    return link ? link->fd : negative(EINVAL);
}

const char* bpf_link__pin_path(const struct bpf_link* link) {
    return link && !link->pin_path.empty() ? link->pin_path.c_str() : nullptr;
}

int bpf_link__pin(struct bpf_link* link, const char* path) {
    if (!link || !path) return negative(EINVAL);
    if (!link->pin_path.empty()) return negative(EBUSY);
    const int status = bpf_obj_pin(link->fd, path);
    if (status == 0) link->pin_path = path;
    return status;
}

int bpf_link__unpin(struct bpf_link* link) {
    if (!link || link->pin_path.empty()) return negative(EINVAL);
    spec::ObjUnpinAttr attr{.pathname = address(link->pin_path.c_str())};
    const int status = result(api::bpf(spec::Command::ObjUnpin, attr));
    if (status == 0) link->pin_path.clear();
    return status;
}

int bpf_link__update_program(struct bpf_link* link, struct bpf_program* prog) {
    if (!link || !prog || prog->fd < 0) return negative(EINVAL);
    return bpf_link_update(link->fd, prog->fd, nullptr);
}

void bpf_link__disconnect(struct bpf_link* link) {
    if (link) link->disconnected = true;
}

int bpf_link__detach(struct bpf_link* link) {
    return link ? bpf_link_detach(link->fd) : negative(EINVAL);
}

int bpf_link__destroy(struct bpf_link* link) {
    if (!link) return 0;
    const std::unique_ptr<bpf_link> owner(link);
    // What is disconnected stays attached for as long as the process has the descriptor.
    if (link->fd >= 0 && !link->disconnected) api::close_descriptor(link->fd);
    return 0;
}

int bpf_xdp_attach(int ifindex, int prog_fd, __u32 flags, const struct bpf_xdp_attach_opts* opts) {
    if (prog_fd < -1) return negative(EINVAL);
    return attach_xdp(ifindex, prog_fd, flags, opts);
}

int bpf_xdp_detach(int ifindex, __u32 flags, const struct bpf_xdp_attach_opts* opts) {
    return attach_xdp(ifindex, -1, flags, opts);
}

int bpf_xdp_query_id(int ifindex, int flags, __u32* prog_id) {
    if (!prog_id || ifindex <= 0 || (static_cast<u32>(flags) & ~kXdpModes)) return negative(EINVAL);
    api::sweep_descriptors();
    u32 id = 0;
    spec::ProgQueryAttr attr{.target_fd = static_cast<u32>(ifindex),
                             .attach_type = BPF_XDP,
                             .prog_ids = address(&id),
                             .prog_cnt = 1};
    const int status = result(api::bpf(spec::Command::ProgQuery, attr));
    if (status == 0) *prog_id = attr.prog_cnt ? id : 0;
    return status;
}

int bpf_xdp_query(int ifindex, int flags, struct bpf_xdp_query_opts* opts) {
    if (!opts || !api::valid(opts)) return negative(EINVAL);
    u32 id = 0;
    if (const int status = bpf_xdp_query_id(ifindex, flags, &id); status < 0) return status;
    if (EBPF_OPTS_HAS(opts, prog_id)) opts->prog_id = id;
    if (EBPF_OPTS_HAS(opts, drv_prog_id)) opts->drv_prog_id = 0;
    if (EBPF_OPTS_HAS(opts, hw_prog_id)) opts->hw_prog_id = 0;
    if (EBPF_OPTS_HAS(opts, skb_prog_id)) opts->skb_prog_id = id;
    if (EBPF_OPTS_HAS(opts, attach_mode)) {
        opts->attach_mode = id ? kAttachedSkb : kAttachedNone;
    }
    return 0;
}

}  // extern "C"
