// SPDX-License-Identifier: MIT
#pragma once

#include "hooks/xdp.hpp"
#include "sources/live.hpp"

namespace ebpf::products {

// The process' XDP hook; null when the execution context could not be set up or is elsewhere.
hooks::XdpHook* xdp_hook();
// Then the errno value that says so: ENOMEM, or EOPNOTSUPP when it is that of ebpfsvc.
int why_not_here();

// Its real interfaces; the same.
class LiveSwitch;
LiveSwitch* live_switch();

// Between the hook and the live interfaces: an application says whether it means real ones.
class LiveSwitch {
  public:
    explicit LiveSwitch(hooks::XdpHook& hook);
    void enable() { enabled_.store(true, std::memory_order_release); }
    sources::LiveInterfaces& interfaces() { return interfaces_; }

  private:
    static u32 start(void* self, u32 ifindex);
    static void stop(void* self, u32 ifindex);

    sources::LiveInterfaces interfaces_;
    std::atomic<bool> enabled_{false};
    std::atomic<bool> told_{false};
};

}  // namespace ebpf::products
