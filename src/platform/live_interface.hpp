// SPDX-License-Identifier: MIT
//
// A network interface that is taken over inline: every frame that it receives comes here first, and
// what is not passed on does not reach the system. User mode; `linux/live_interface.cpp` says how
// it is done there. One thread works with an interface; wake() and counters() may come from
// others.
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "base/error.hpp"

namespace ebpf::platform {

// What the sender left to the receiver's hardware: a checksum to be filled in, a large TCP or UDP
// frame to be cut. The layout is that of a virtio network header (virtio 1.2, 5.1.6); offsets count
// from the frame's first byte.
struct FrameOffload {
    static constexpr u8 kNeedsChecksum = 1;
    u8 flags = 0;
    u8 segmentation = 0;  // 0: none
    u16 header_size = 0;
    u16 segment_size = 0;
    u16 checksum_start = 0;
    u16 checksum_offset = 0;  // from checksum_start
};
static_assert(sizeof(FrameOffload) == 10);

struct LiveFrame {
    u8* data = nullptr;  // Ethernet header, with the VLAN tag if the frame came with one
    u32 size = 0;
    // What may be written around the frame: kLiveHeadroom bytes before it at least.
    u8* memory = nullptr;
    u8* memory_end = nullptr;
    FrameOffload offload{};  // moves with the frame's start: see move_start()
    bool to_us = true;       // its destination address is the interface's

    // The frame begins at `start` now; what `offload` says stays about the same bytes.
    void move_start(u8* start);
};

// Called once by the thread that serves interfaces: its naps are as short as they are asked for.
void prepare_live_thread();

inline constexpr u32 kLiveHeadroom = 256;
inline constexpr u32 kLiveBatch = 64;

struct LiveCounters {
    u64 missed = 0;           // arrived faster than they were taken
    u64 oversized = 0;        // too large to be handed over whole: dropped
    u64 pass_failed = 0;      // the system did not take them back
    u64 transmit_failed = 0;  //
    u64 redirect_failed = 0;  // e.g. there is no such interface, or it is down
};

class LiveInterface {
  public:
    // Takes the interface over until the object is destroyed or the process ends, however it ends:
    // then everything is as before. Errors: NoDevice (no such interface), AccessDenied, Busy
    // (somebody has taken it over already), NotSupported (what this kernel or the interface lacks),
    // NoMemory.
    static Result<std::unique_ptr<LiveInterface>> open(u32 ifindex);
    virtual ~LiveInterface() = default;

    // The next frames in the order of their arrival, at most kLiveBatch; they lie in memory that is
    // valid until release(). 0 when there is none.
    virtual u32 receive(std::span<LiveFrame> out) = 0;
    // On to the system, as if it had arrived now. Done at the latest in release().
    virtual void pass(LiveFrame& frame) = 0;
    // Out of this interface, or of another one. Done at the latest in release().
    virtual void transmit(LiveFrame& frame) = 0;
    virtual void redirect(LiveFrame& frame, u32 ifindex) = 0;
    // Sends what was queued and gives the memory of the received frames back.
    virtual void release() = 0;

    // Returns when there may be frames, after wake(), or after a moment. `frames` is how many came
    // since the last call: when many came it is a fixed short nap, so that the arrival of frames
    // costs no wake-up.
    virtual void wait(u32 frames) = 0;
    virtual void wake() = 0;

    virtual LiveCounters counters() = 0;

  protected:
    LiveInterface() = default;
};

}  // namespace ebpf::platform
