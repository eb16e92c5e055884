// SPDX-License-Identifier: MIT
//
// The XDP hook: a program decides about each frame that an interface receives, before anything else
// sees it. One program per interface. A source (src/sources/) hands over frames; the hook builds
// the context, runs the program and says in canonical numbers what is to happen to the frame.
//
// The frame lies in a buffer with room before and behind it, so that programs can move its borders
// (bpf_xdp_adjust_head and its kin). Linux's rules hold for both dialects: 256 bytes of headroom,
// at least an Ethernet header left, metadata of at most 32 bytes in units of 4.
#pragma once

#include <atomic>

#include "base/error.hpp"
#include "platform/lock.hpp"
#include "spec/contexts.hpp"
#include "spec/dialect.hpp"
#include "spec/extension.h"

namespace ebpf::hooks {

// What happens to a frame; Linux's numbers (enum xdp_action).
enum class XdpVerdict : u8 { Aborted = 0, Drop = 1, Pass = 2, Transmit = 3, Redirect = 4 };
inline constexpr int kXdpVerdicts = 5;

inline constexpr u32 kXdpHeadroom = 256;
inline constexpr u32 kXdpTailroom = 320;  // what Linux keeps for the frame's later owner
inline constexpr u32 kXdpMaxFrame = 65535;

// A frame in its buffer. The context is its first member: helpers of this hook get the context's
// address from the program and find the buffer by it.
struct XdpFrame {
    spec::XdpContext context{};
    u8* buffer = nullptr;
    u8* buffer_end = nullptr;
    spec::Dialect dialect{};   // of the running program: whose error numbers its helpers return
    u32 redirect_ifindex = 0;  // of the last bpf_redirect(): where Redirect sends the frame

    // Puts the frame of `size` bytes that stands at `buffer` + kXdpHeadroom under the program's
    // eyes.
    void reset(u8* memory, u64 memory_size, u32 size, u32 ifindex);
    u32 size() const { return static_cast<u32>(context.data_end - context.data); }
};

// Who feeds the hook with what an interface really receives; see XdpHook::set_feed().
struct XdpFeed {
    void* self = nullptr;
    // A program was attached. An error of base/errors.def refuses it. PASSIVE.
    u32 (*start)(void* self, u32 ifindex) = nullptr;
    // It is detached: returns when no more frames come. PASSIVE.
    void (*stop)(void* self, u32 ifindex) = nullptr;
};

class XdpHook {
  public:
    static constexpr u32 kMaxPrograms = 1024;  // attached at a time

    // Before the first program is attached; without a feed, frames come only from callers of
    // receive(). The feed must outlive the attachments.
    void set_feed(const XdpFeed& feed) { feed_ = feed; }

    // What registers with the execution context; the hook must outlive it there.
    const ebpf_hook_provider_t& provider();

    // The program's verdict about a frame that interface `ifindex` received: Pass when none is
    // attached, Aborted when it could not be run or returned a number that is no verdict.
    XdpVerdict receive(u32 ifindex, XdpFrame& frame);

    // The same for many frames in a row: the cost of entering the execution context is paid once.
    // The thread may not wait while a Batch exists.
    class Batch {
      public:
        Batch(XdpHook& hook, u32 ifindex);
        ~Batch();
        Batch(const Batch&) = delete;
        Batch& operator=(const Batch&) = delete;
        XdpVerdict receive(XdpFrame& frame);

      private:
        const ebpf_client_dispatch_t* client_ = nullptr;
        const ebpf_binding_t* binding_ = nullptr;
        spec::Dialect dialect_{};
        alignas(8) u8 state_[64] = {};
    };

  private:
    static u32 attach(void* self, const ebpf_client_dispatch_t* client,
                      const ebpf_binding_t* binding, u32 target);
    static void detach(void* self, const ebpf_binding_t* binding, u32 target);

    // A place keeps its interface when its program is gone, and may get another one then.
    struct Place {
        std::atomic<u32> ifindex{0};
        const ebpf_binding_t* binding = nullptr;  // read and changed atomically, also by `client_`
        const ebpf_binding_t* bound() const { return __atomic_load_n(&binding, __ATOMIC_ACQUIRE); }
        void bind(const ebpf_binding_t* to) { __atomic_store_n(&binding, to, __ATOMIC_RELEASE); }
    };
    struct Found {
        const Place* place = nullptr;
        const ebpf_binding_t* binding = nullptr;
    };
    Found find(u32 ifindex) const;
    static XdpVerdict answer(u32 error, const XdpFrame& frame, u64 r0);
    Errc add(u32 ifindex, const ebpf_binding_t* binding);
    bool remove(u32 ifindex, const ebpf_binding_t* binding);

    std::atomic<const ebpf_client_dispatch_t*> client_{nullptr};
    platform::SpinLock lock_;  // of those that change places
    Place places_[kMaxPrograms];
    std::atomic<u32> used_{0};  // places that ever had a program; the others are behind them
    ebpf_hook_provider_t provider_{};
    XdpFeed feed_{};
};

// A program's r0 in canonical numbers. Windows' verdicts are 1 pass, 2 drop, 3 transmit.
inline XdpVerdict xdp_verdict(spec::Dialect dialect, u64 r0) {
    const u32 number = static_cast<u32>(r0);
    if (dialect == spec::Dialect::Windows) {
        static constexpr XdpVerdict kWindows[] = {XdpVerdict::Aborted, XdpVerdict::Pass,
                                                  XdpVerdict::Drop, XdpVerdict::Transmit};
        return number < 4 ? kWindows[number] : XdpVerdict::Aborted;
    }
    return number < kXdpVerdicts ? static_cast<XdpVerdict>(number) : XdpVerdict::Aborted;
}

// --- what every frame goes through, inline -------------------------------------------------------

// Few interfaces have programs, and a batch of frames looks once.
inline XdpHook::Found XdpHook::find(u32 ifindex) const {
    const u32 used = used_.load(std::memory_order_acquire);
    for (u32 i = 0; i < used; ++i) {
        const Place& place = places_[i];
        if (place.ifindex.load(std::memory_order_acquire) != ifindex) continue;
        const ebpf_binding_t* binding = place.bound();
        // The place may have changed hands between the two.
        if (binding && place.ifindex.load(std::memory_order_acquire) == ifindex) {
            return {&place, binding};
        }
    }
    return {};
}

inline XdpVerdict XdpHook::answer(u32 error, const XdpFrame& frame, u64 r0) {
    const bool ran = error == static_cast<u32>(Errc::Ok);
    return ran ? xdp_verdict(frame.dialect, r0) : XdpVerdict::Aborted;
}

inline XdpVerdict XdpHook::receive(u32 ifindex, XdpFrame& frame) {
    const auto* client = client_.load(std::memory_order_acquire);
    const Place* place = client ? find(ifindex).place : nullptr;
    if (!place) return XdpVerdict::Pass;
    auto* dialect = reinterpret_cast<u8*>(&frame.dialect);
    u64 r0 = 0;
    const u32 error =
        client->invoke_at(client, &place->binding, ifindex, &frame.context, dialect, &r0);
    // The place changed hands in between: there was a time without a program.
    if (error == static_cast<u32>(Errc::ObjectNotFound)) return XdpVerdict::Pass;
    return answer(error, frame, r0);
}

inline XdpVerdict XdpHook::Batch::receive(XdpFrame& frame) {
    if (!binding_) return XdpVerdict::Pass;
    frame.dialect = dialect_;
    u64 r0 = 0;
    const u32 error = client_->batch_invoke(binding_, &frame.context, &r0, state_);
    return answer(error, frame, r0);
}

}  // namespace ebpf::hooks
