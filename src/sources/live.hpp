// SPDX-License-Identifier: MIT
//
// The live source: real interfaces. When a program is attached to the XDP hook of an interface,
// the interface is taken over (platform/live_interface.hpp) and a thread feeds the hook with what
// arrives there and carries the verdicts out, until the program is detached.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "hooks/xdp.hpp"

namespace ebpf::sources {

struct LiveStatistics {
    u64 frames = 0;
    u64 bytes = 0;
    u64 verdicts[hooks::kXdpVerdicts] = {};
    u64 missed = 0;           // arrived faster than they were taken: dropped
    u64 oversized = 0;        // too large for the hook (64 KiB): dropped
    u64 pass_failed = 0;      // the system did not take back
    u64 transmit_failed = 0;  // and that could not be sent where the verdict said
    u64 redirect_failed = 0;
};

class LiveInterfaces {
  public:
    // `hook` must outlive this. `report` is told why an interface could not be taken over, since
    // the hook's caller only gets an error's number; it may be null.
    using Report = void (*)(u32 ifindex, const Error& error);
    explicit LiveInterfaces(hooks::XdpHook& hook, Report report = nullptr);
    ~LiveInterfaces();
    LiveInterfaces(const LiveInterfaces&) = delete;
    LiveInterfaces& operator=(const LiveInterfaces&) = delete;

    // What the hook calls when programs come and go: hook.set_feed().
    const hooks::XdpFeed& feed() const { return feed_; }

    // Of an interface that a program is attached to. ObjectNotFound.
    Result<LiveStatistics> statistics(u32 ifindex);

  private:
    class Interface;
    static u32 start(void* self, u32 ifindex);
    static void stop(void* self, u32 ifindex);
    Status start(u32 ifindex);

    hooks::XdpHook& hook_;
    hooks::XdpFeed feed_;
    Report report_;
    std::mutex mutex_;
    std::map<u32, std::unique_ptr<Interface>> interfaces_;
};

}  // namespace ebpf::sources
