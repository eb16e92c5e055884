// SPDX-License-Identifier: MIT
// One connection to or of ebpfsvc: sends and receives packets of protocol.hpp.
#pragma once

#include <sys/types.h>

#include <array>
#include <compare>
#include <vector>

#include "products/fd.hpp"
#include "products/service/protocol.hpp"

namespace ebpf::service {

using products::Fd;

// A packet that was received. The payload stands in the receiver's buffer until the next one.
struct Packet {
    Frame frame;
    MutableBytes payload;
    std::array<Fd, kMaxDescriptors> descriptors{Fd(), Fd(), Fd(), Fd()};
    u32 count = 0;      // of descriptors
    bool lost = false;  // descriptors came that this process has no room for
};

// Asked before a large payload is read into memory; null: there is always room.
struct Admit {
    void* self = nullptr;
    Status (*room_for)(void* self, u64 bytes) = nullptr;
};

class Channel {
  public:
    explicit Channel(Fd socket) : socket_(std::move(socket)) {}

    // Connects to the service at `path`. Errors: RpcException; AccessDenied when the path may not
    // be used; NameTooLong.
    static Result<Channel> connect(const char* path);

    // Sends `frame` with `payload`, whose size it is given, and copies of `descriptors`. Waits
    // while the peer does not read. Errors: RpcException (the peer is gone), TooManyDescriptors,
    // NoMemory.
    Status send(Frame frame, Bytes payload = {}, std::span<const int> descriptors = {});

    // Waits for a packet. A payload of more than wire::kMaxMessage bytes, one in a file that is not
    // sealed, and one that `admit` has no room for, is refused before any of it is read: TooLarge,
    // BadFormat or admit's error, after which the connection can go on. Errors that end it:
    // RpcException (also at its end), BadMagic, Truncated. NotSupported is a packet of another
    // version: `packet.frame` has its beginning.
    Status receive(Packet& packet, const Admit& admit = {});

    int descriptor() const { return socket_.get(); }

  private:
    Status read_file(Packet& packet, const Admit& admit);

    Fd socket_;
    std::vector<std::byte> buffer_;
};

// What no other object's descriptor has or will have: of a socket SO_COOKIE, of a sealed file in
// memory its inode and when that was made, since inodes' numbers come again after 2^32 files.
struct Cookie {
    u64 number = 0;
    u64 born = 0;  // of a file: ns since 1970
    u64 device = 0;
    auto operator<=>(const Cookie&) const = default;
};
// InvalidFd when `descriptor` is none at all, InvalidArgument when it is neither (as Linux answers
// for a file that is no BPF object).
Result<Cookie> cookie_of(int descriptor);

// A sealed file in memory with this content. TooManyDescriptors, NoMemory.
Result<Fd> sealed_file(Bytes content);

// The error of errno where a descriptor or memory could not be had.
Errc error_of_errno(int number);

// The error that a frame reports, or none; and the way back.
Status error_of(const Frame& frame);
void set_error(Frame& frame, const Error& error);

}  // namespace ebpf::service
