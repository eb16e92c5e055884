// SPDX-License-Identifier: MIT
//
// How frames are kept from the system, and given to it after all, without a program or a decision
// in the kernel (measured alternatives: no other way that Linux has is inline on an interface that
// stays what it is).
//
//                    +--------------------- DEV ----------------------+
//   the network ---> | packet socket sees it ---> nftables: drop all, | ---> IP stack, bridge, ...
//                    |       |                    but take the mark   |        ^
//                    +-------|----------------------------^-----------+        |
//                            v                            | received by DEV    |
//                        our program                      | once more ---------+
//                            | pass                       |
//                            +---> send with the mark --> TAP device, whose clsact egress
//                                                         redirects to the ingress of DEV
//
// - The rule on DEV drops whatever has not our mark, whatever it is: nothing in it depends on a
//   frame, the verdict is the program's. The mark is a random number and is cleared again.
// - The TAP device is only a place to send to: its clsact qdisc takes each frame before the device
//   would. A frame whose destination is not this machine (PACKET_OTHERHOST), a broadcast or a
//   multicast must come back as such; Linux marks it so where an Ethernet device receives it. So
//   these few are *received* by the TAP device (written to its descriptor), which has DEV's
//   address; a rule there gives them the mark and sends them through the TAP device, as above.
// - All of it is bound to descriptors: the rules to the netlink socket (an owned table,
// Linux 5.12),
//   the TAP device with its qdisc to its own descriptor. When the process ends, even by SIGKILL,
//   the kernel removes them, and DEV works as before. DEV's own settings are never touched.
#pragma once

#include "platform/linux/netlink.hpp"

namespace ebpf::platform {

class LivePath {
  public:
    LivePath() = default;
    ~LivePath();
    LivePath(const LivePath&) = delete;
    LivePath& operator=(const LivePath&) = delete;

    // Errors: those of LiveInterface::open(). From success on DEV receives only what is sent by
    // `tap_index()` with `mark()`, or written to `tap()`.
    Status open(u32 ifindex);

    int tap() const { return tap_; }
    u32 tap_index() const { return tap_index_; }
    u32 mark() const { return mark_; }
    u32 mtu() const { return mtu_; }

  private:
    Status look_at(u32 ifindex);
    Status make_tap();
    Status set_tap_up(Netlink& route);
    Status redirect_tap(Netlink& route, u32 ifindex);
    Status make_rules(u32 ifindex);
    void guard_tap();

    Netlink rules_;
    int tap_ = -1;
    char device_[16] = {};
    char tap_name_[16] = {};
    u8 address_[6] = {};
    u32 tap_index_ = 0;
    u32 mark_ = 0;
    u32 mtu_ = 0;
};

// Descriptors that a child process must not keep: it would keep the interface taken over while
// nobody serves it. They are closed in a child after fork().
void close_in_children(int fd);
void forget_in_children(int fd);

}  // namespace ebpf::platform
