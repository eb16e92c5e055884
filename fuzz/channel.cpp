// SPDX-License-Identifier: MIT
// What a peer of service::Channel may send: the input is a row of packets, each a byte that says
// which descriptors come along, a length of 2 bytes, and the bytes. Whatever they are, a payload is
// within its limits, no descriptor is left open, and after a refusal that does not end the
// connection the next packet is understood.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "products/service/channel.hpp"

namespace {

using namespace ebpf;
using products::Fd;

void must(bool condition) {
    if (!condition) __builtin_trap();
}

// Files that a peer may send for a payload: good ones, and such as could hold a reader up.
Fd descriptor(unsigned kind, Bytes content) {
    switch (kind % 5) {
        case 0: {
            auto sealed = service::sealed_file(content);
            return sealed ? std::move(*sealed) : Fd();
        }
        case 1: {  // it can still change
            Fd file(memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
            (void)!write(file.get(), content.data(), content.size());
            return file;
        }
        case 2: {  // nothing ever comes
            int ends[2];
            if (pipe2(ends, O_CLOEXEC) != 0) return Fd();
            const Fd unused(ends[1]);
            return Fd(ends[0]);
        }
        case 3: {  // no seals at all
            Fd file(memfd_create("plain", MFD_CLOEXEC));
            return file;
        }
        default:
            return Fd(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    }
}

// As a peer that keeps to nothing: up to more descriptors than there may be.
void send_raw(int socket, Bytes bytes, unsigned choice) {
    std::vector<Fd> owned;
    std::vector<int> numbers;
    for (unsigned i = 0; i < choice % 7; ++i) {
        owned.push_back(descriptor(choice / 7 + i, bytes));
        if (owned.back()) numbers.push_back(owned.back().get());
    }
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(8 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!numbers.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(numbers.size() * sizeof(int));
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(numbers.size() * sizeof(int));
        std::memcpy(CMSG_DATA(header), numbers.data(), numbers.size() * sizeof(int));
    }
    (void)!sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool ends_connection(const Error& error) {
    return error == Errc::RpcException || error == Errc::Truncated || error == Errc::BadMagic;
}

// A descriptor's number that is free: the same before and after when none was left open.
int free_number() {
    return Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)).get();
}

void converse(Bytes input) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
    service::Channel here{Fd(ends[0])}, there{Fd(ends[1])};
    constexpr u64 kRoom = 1u << 20;
    const service::Admit admit{nullptr, [](void*, u64 bytes) -> Status {
                                   if (bytes <= kRoom) return {};
                                   return fail(Errc::NoMemory, {}, "room", bytes);
                               }};
    service::Packet packet;
    while (input.size() >= 3) {
        const auto choice = static_cast<unsigned>(input[0]);
        const size_t wanted = static_cast<size_t>(input[1]) | static_cast<size_t>(input[2]) << 8;
        const Bytes bytes = input.subspan(3, std::min(wanted, input.size() - 3));
        input = input.subspan(3 + bytes.size());
        if (bytes.empty()) continue;
        send_raw(here.descriptor(), bytes, choice);
        const Status received = there.receive(packet, admit);
        must(packet.payload.size() <= kRoom);
        must(packet.count <= service::kMaxDescriptors);
        u64 sum = 0;  // all of it is there
        for (const std::byte b : packet.payload) sum += static_cast<u64>(b);
        (void)*static_cast<volatile u64*>(&sum);
        if (!received && ends_connection(received.error())) return;
        const std::array<std::byte, 5> good = {std::byte{5}};
        must(here.send({.type = service::FrameType::Status}, good).has_value());
        must(there.receive(packet, admit).has_value());
        must(packet.frame.type == service::FrameType::Status && packet.payload.size() == 5);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const int before = free_number();
    converse(std::as_bytes(std::span(data, size)));
    must(free_number() == before);
    return 0;
}
