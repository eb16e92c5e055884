// SPDX-License-Identifier: MIT
//
// Netlink: messages with attributes to the kernel's network configuration (netlink(7)), as much of
// it as taking over an interface needs.
#pragma once

#include <linux/netlink.h>

#include <cstring>
#include <functional>
#include <vector>

#include "base/error.hpp"

namespace ebpf::platform {

// One or more messages in a row. Attributes are appended to the last one.
class NetlinkMessages {
  public:
    // Begins a message; `flags` in addition to NLM_F_REQUEST.
    template <typename Header>
    void begin(u16 type, u16 flags, const Header& header) {
        finish();
        message_ = bytes_.size();
        nlmsghdr head{};
        head.nlmsg_type = type;
        head.nlmsg_flags = static_cast<u16>(flags | NLM_F_REQUEST);
        head.nlmsg_seq = ++sequence_;
        if (flags & NLM_F_ACK || (flags & NLM_F_DUMP) == NLM_F_DUMP) awaited_ = sequence_;
        append(&head, sizeof head);
        append(&header, sizeof header);
    }

    void attribute(u16 type, const void* value, size_t size);
    void text(u16 type, const char* value) { attribute(type, value, std::strlen(value) + 1); }
    template <typename T>
    void value(u16 type, const T& value) {
        attribute(type, &value, sizeof value);
    }
    // A structure inside a nested attribute that is none itself.
    template <typename T>
    void raw(const T& value) {
        append(&value, sizeof value);
    }
    // Attributes appended by `inside` become the value of one.
    template <typename Inside>
    void nested(u16 type, Inside&& inside) {
        const size_t start = bytes_.size();
        const nlattr head{0, static_cast<u16>(type | NLA_F_NESTED)};
        append(&head, sizeof head);
        inside();
        const u16 size = static_cast<u16>(bytes_.size() - start);
        std::memcpy(bytes_.data() + start, &size, sizeof size);
    }

    // The bytes to send.
    const std::vector<u8>& bytes() {
        finish();
        return bytes_;
    }
    // Of the last message that asks for an answer.
    u32 awaited() const { return awaited_; }

  private:
    void append(const void* value, size_t size);
    void finish();

    std::vector<u8> bytes_;
    size_t message_ = 0;
    u32 sequence_ = 0;
    u32 awaited_ = 0;
};

class Netlink {
  public:
    Netlink() = default;
    ~Netlink();
    Netlink(const Netlink&) = delete;
    Netlink& operator=(const Netlink&) = delete;

    // `protocol` such as NETLINK_ROUTE. Errors: AccessDenied, NotSupported.
    Status open(int protocol);
    int fd() const { return fd_; }

    // Sends; the kernel's answer to the last message that asks for one (NLM_F_ACK), or the first
    // error among the answers: after one the socket is good for closing only. The errno is
    // Error::arg.
    Status ask(NetlinkMessages& messages, const char* what);
    // For what may be refused.
    void try_to(NetlinkMessages& messages) {
        if (ask(messages, "")) return;
    }
    // Sends a dump request and calls `each` for every message of the answer.
    Status dump(NetlinkMessages& messages, const char* what,
                const std::function<void(const nlmsghdr&)>& each);

  private:
    int fd_ = -1;
};

// What an errno of the network configuration means to callers.
Errc errc_of_errno(int error);

}  // namespace ebpf::platform
