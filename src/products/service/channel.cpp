// SPDX-License-Identifier: MIT
#include "products/service/channel.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "spec/errors.hpp"

namespace ebpf::service {
namespace {

constexpr size_t kRoom = sizeof(Frame) + kMaxInline;
constexpr size_t kKeep = 1u << 20;  // a larger buffer is not kept for the next packet
constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

struct ControlBuffer {
    alignas(cmsghdr) std::byte bytes[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
};

// Takes the descriptors of a received packet; what is more than there may be is closed.
void take_descriptors(msghdr& message, Packet& packet) {
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
            Fd owned(fd);
            if (packet.count < kMaxDescriptors)
                packet.descriptors[packet.count++] = std::move(owned);
        }
    }
    packet.lost = (message.msg_flags & MSG_CTRUNC) != 0;
}

}  // namespace

Errc error_of_errno(int number) {
    switch (number) {
        case EMFILE:
        case ENFILE:
        case ETOOMANYREFS:
            return Errc::TooManyDescriptors;
        case ENOMEM:
        case ENOBUFS:
            return Errc::NoMemory;
        default:
            return Errc::RpcException;
    }
}

Result<Channel> Channel::connect(const char* path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const size_t length = std::strlen(path);
    if (length >= sizeof address.sun_path) return fail(Errc::NameTooLong, {}, "socket", length);
    std::memcpy(address.sun_path, path, length);
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket) return fail(error_of_errno(errno), {}, "socket");
    int status = 0;
    do {
        status =
            ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    } while (status != 0 && errno == EINTR);
    if (status != 0) {
        const bool forbidden = errno == EACCES || errno == EPERM;
        return fail(forbidden ? Errc::AccessDenied : Errc::RpcException, {}, "socket of ebpfsvc",
                    static_cast<u64>(errno));
    }
    return Channel(std::move(socket));
}

Status Channel::send(Frame frame, Bytes payload, std::span<const int> descriptors) {
    std::array<int, kMaxDescriptors> sent{};
    u32 count = 0;
    for (const int fd : descriptors) sent[count++] = fd;
    frame.size = static_cast<u32>(payload.size());
    Fd file;
    if (payload.size() > kMaxInline) {
        TRY_ASSIGN(file, sealed_file(payload));
        sent[count++] = file.get();
        frame.in_file = 1;
        payload = {};
    }
    iovec parts[2] = {{&frame, sizeof frame},
                      {const_cast<std::byte*>(payload.data()), payload.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = payload.empty() ? 1 : 2;
    ControlBuffer control;
    if (count != 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        std::memcpy(CMSG_DATA(header), sent.data(), count * sizeof(int));
    }
    ssize_t status = 0;
    do {
        status = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    } while (status < 0 && errno == EINTR);
    if (status < 0) return fail(error_of_errno(errno), {}, "sending", static_cast<u64>(errno));
    return {};
}

Status Channel::receive(Packet& packet, const Admit& admit) {
    packet = {};
    if (buffer_.size() < kRoom || buffer_.size() > kKeep) {
        buffer_ = std::vector<std::byte>(kRoom);
    }
    iovec part{buffer_.data(), kRoom};
    ControlBuffer control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    ssize_t size = 0;
    do {
        size = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size <= 0) return fail(Errc::RpcException, {}, "the connection ended");
    take_descriptors(message, packet);
    if ((message.msg_flags & MSG_TRUNC) != 0 || size < 8) {
        return fail(Errc::Truncated, {}, "packet", static_cast<u64>(size));
    }
    const auto received = static_cast<size_t>(size);
    std::memcpy(&packet.frame, buffer_.data(), received < sizeof(Frame) ? received : sizeof(Frame));
    if (packet.frame.magic != kMagic) return fail(Errc::BadMagic, at_offset(0), "packet");
    if (packet.frame.version != kVersion) {
        return fail(Errc::NotSupported, at_offset(4), "version", packet.frame.version);
    }
    if (received < sizeof(Frame)) return fail(Errc::Truncated, {}, "packet", received);
    if (packet.frame.in_file != 0) return read_file(packet, admit);
    if (packet.frame.size != received - sizeof(Frame)) {
        return fail(Errc::BadFormat, at_offset(8), "size of the packet", packet.frame.size);
    }
    packet.payload = MutableBytes(buffer_).subspan(sizeof(Frame), packet.frame.size);
    return {};
}

// The file is copied: a command reads and writes its request in place. It could not be changed
// while that happens, but a file that can shrink or is none would hold us up.
Status Channel::read_file(Packet& packet, const Admit& admit) {
    if (packet.lost) return fail(Errc::TooManyDescriptors, {}, "receiving");
    if (packet.count == 0) return fail(Errc::BadFormat, {}, "payload without a descriptor");
    const Fd file = std::move(packet.descriptors[--packet.count]);
    const int seals = fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & kSeals) != kSeals) {
        return fail(Errc::BadFormat, {}, "payload in a file that is not sealed");
    }
    if (packet.frame.size > wire::kMaxMessage) {
        return fail(Errc::TooLarge, {}, "payload", packet.frame.size);
    }
    if (admit.room_for != nullptr) TRY(admit.room_for(admit.self, packet.frame.size));
    if (packet.frame.size > buffer_.size()) buffer_ = std::vector<std::byte>(packet.frame.size);
    for (size_t done = 0; done < packet.frame.size;) {
        const ssize_t part = pread(file.get(), buffer_.data() + done, packet.frame.size - done,
                                   static_cast<off_t>(done));
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) return fail(Errc::BadFormat, {}, "payload shorter than its size");
        done += static_cast<size_t>(part);
    }
    packet.payload = MutableBytes(buffer_).first(packet.frame.size);
    return {};
}

namespace {

std::optional<Cookie> cookie_of_file(int descriptor) {
    constexpr int kFixed = F_SEAL_SHRINK | F_SEAL_GROW;
    const int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0 || (seals & kFixed) != kFixed) return {};
    struct statx status{};
    constexpr unsigned kWanted = STATX_INO | STATX_BTIME;
    if (statx(descriptor, "", AT_EMPTY_PATH, kWanted, &status) != 0 ||
        (status.stx_mask & kWanted) != kWanted) {
        return {};
    }
    const auto seconds = static_cast<u64>(status.stx_btime.tv_sec);
    return Cookie{status.stx_ino, seconds * 1'000'000'000 + status.stx_btime.tv_nsec,
                  u64{status.stx_dev_major} << 32 | status.stx_dev_minor};
}

}  // namespace

Result<Cookie> cookie_of(int descriptor) {
    Cookie cookie;
    socklen_t size = sizeof cookie.number;
    if (getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie.number, &size) == 0) return cookie;
    const bool closed = errno == EBADF;
    if (const auto file = cookie_of_file(descriptor)) return *file;
    return fail(closed ? Errc::InvalidFd : Errc::InvalidArgument, {}, "descriptor",
                static_cast<u64>(descriptor));
}

Result<Fd> sealed_file(Bytes content) {
    Fd file(memfd_create("ebpf-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file) return fail(error_of_errno(errno), {}, "message");
    for (size_t done = 0; done < content.size();) {
        const ssize_t part = write(file.get(), content.data() + done, content.size() - done);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) return fail(Errc::NoMemory, {}, "message", content.size());
        done += static_cast<size_t>(part);
    }
    if (fcntl(file.get(), F_ADD_SEALS, kSeals | F_SEAL_SEAL) != 0) {
        return fail(Errc::NotSupported, {}, "sealing a message");
    }
    return file;
}

Status error_of(const Frame& frame) {
    if (frame.linux_error == 0) return {};
    return fail(wire::error_of(frame.linux_error, frame.result), {}, "answer of ebpfsvc");
}

void set_error(Frame& frame, const Error& error) {
    frame.linux_error = static_cast<u32>(spec::linux_errno(error.code));
    frame.result = spec::result(error.code);
}

}  // namespace ebpf::service
