// SPDX-License-Identifier: MIT
#include "platform/linux/netlink.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace ebpf::platform {

Errc errc_of_errno(int error) {
    switch (error) {
        case EPERM:
        case EACCES:
            return Errc::AccessDenied;
        case ENODEV:
        case ENXIO:
            return Errc::NoDevice;
        case EEXIST:
        case EBUSY:
            return Errc::Busy;
        case ENOMEM:
        case ENOBUFS:
        case EMFILE:
        case ENFILE:
            return Errc::NoMemory;
        case EOPNOTSUPP:
        case EPROTONOSUPPORT:
        case EAFNOSUPPORT:
        case ENOENT:
        case ENOPROTOOPT:
            return Errc::NotSupported;
        default:
            return Errc::Failed;
    }
}

void NetlinkMessages::append(const void* value, size_t size) {
    const auto* bytes = static_cast<const u8*>(value);
    bytes_.insert(bytes_.end(), bytes, bytes + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void NetlinkMessages::attribute(u16 type, const void* value, size_t size) {
    const nlattr head{static_cast<u16>(sizeof(nlattr) + size), type};
    append(&head, sizeof head);
    append(value, size);
}

void NetlinkMessages::finish() {
    if (bytes_.empty()) return;
    const u32 size = static_cast<u32>(bytes_.size() - message_);
    std::memcpy(bytes_.data() + message_, &size, sizeof size);
}

Netlink::~Netlink() {
    if (fd_ >= 0) close(fd_);
}

Status Netlink::open(int protocol) {
    fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd_ < 0)
        return fail(errc_of_errno(errno), {}, "netlink socket; errno", static_cast<u64>(errno));
    const sockaddr_nl address{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
    if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail(errc_of_errno(errno), {}, "netlink socket; errno", static_cast<u64>(errno));
    const timeval patience{.tv_sec = 10, .tv_usec = 0};  // the kernel answers at once
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return {};
}

Status Netlink::dump(NetlinkMessages& messages, const char* what,
                     const std::function<void(const nlmsghdr&)>& each) {
    const std::vector<u8>& request = messages.bytes();
    if (send(fd_, request.data(), request.size(), 0) < 0)
        return fail(errc_of_errno(errno), {}, what, static_cast<u64>(errno));
    std::vector<u8> answer(64 * 1024);
    for (;;) {
        const ssize_t size = recv(fd_, answer.data(), answer.size(), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail(errc_of_errno(errno), {}, what, static_cast<u64>(errno));
        u32 left = static_cast<u32>(size);
        for (auto* at = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(at, left);
             at = NLMSG_NEXT(at, left)) {
            if (at->nlmsg_type == NLMSG_DONE) return {};
            if (at->nlmsg_type != NLMSG_ERROR) {
                each(*at);
                continue;
            }
            const int error = -static_cast<const nlmsgerr*>(NLMSG_DATA(at))->error;
            if (error != 0) return fail(errc_of_errno(error), {}, what, static_cast<u64>(error));
            if (at->nlmsg_seq == messages.awaited()) return {};
        }
    }
}

Status Netlink::ask(NetlinkMessages& messages, const char* what) {
    return dump(messages, what, [](const nlmsghdr&) {});
}

}  // namespace ebpf::platform
