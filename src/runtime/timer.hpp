// SPDX-License-Identifier: MIT
//
// The timers that lie in values of maps (struct bpf_timer). A value's 16 bytes hold the address of
// a Timer once a program has made one; what is armed stands in one heap of the runtime, and one
// alarm of the platform is set for the first. When it rings, one function after the other runs,
// each in an epoch of its own.
//
// Lifetimes. A Timer is unlinked under the lock and retired: by the deletion or replacement of its
// value, and when the last user of its map goes, since a timer's program may be all that keeps the
// map, and the map the timer. Who lets one ring has entered its epoch before it looks, so program,
// map and value live until the function has ended, whoever deletes them meanwhile; nobody waits for
// it but bpf_timer_cancel. A value that was deleted gets no other timer (kGone), though a program
// may still hold its address: so no timer outlives what it lies in.
#pragma once

#include "platform/alarm.hpp"
#include "runtime/program.hpp"

namespace ebpf::runtime {

// bpf_timer_init's flags are a clock's number (linux/time.h).
inline constexpr u64 kClockRealtime = 0;
inline constexpr u64 kClockMonotonic = 1;
inline constexpr u64 kClockBoot = 7;
inline constexpr u64 kTimerAbsolute = 1;  // bpf_timer_start: BPF_F_TIMER_ABS

struct Timer : Retired {
    Map* map = nullptr;
    void* value = nullptr;       // that it lies in
    Timer* following = nullptr;  // of the map's
    Timer* before = nullptr;
    Program* program = nullptr;  // whose function it calls, with a reference; null: none
    u64 function = 0;
    u64 clock = 0;
    u64 due = 0;    // of monotonic_ns()
    u32 place = 0;  // in the heap, from 1 on; 0: not armed
};

class Timers {
  public:
    explicit Timers(Runtime& runtime) : runtime_(runtime) {}
    // Before the first map with timers; does nothing afterwards. PASSIVE. NoMemory.
    Status open();
    // After the last map's last user is gone; no function runs afterwards. PASSIVE.
    void close();

    // What the helpers do, with Linux's errors; `field` is a struct bpf_timer. In an epoch.
    // InvalidArgument, Busy (made already), AccessDenied (no user, or the value was deleted).
    Status make(Map& map, void* field, u64 clock);
    // InvalidArgument (not made), AccessDenied, ObjectNotFound (the program is going).
    Status set_function(void* field, const Program& program, u64 function);
    // InvalidArgument (unknown flags, not made, no function).
    Status start(void* field, u64 ns, u64 flags);
    // Disarms it, waits until its function has ended if that runs, and forgets the function.
    // Whether it was armed. InvalidArgument; WouldDeadlock in its own function.
    Result<bool> cancel(void* field, u32 slot);

    // The value was written (its timer ends) or deleted (it also gets no other one). In an epoch.
    void end(void* field, bool deleted);
    // The last user of the map is gone.
    void forget(Map& map);

  private:
    struct Call {
        Timer* timer = nullptr;
        Program* program = nullptr;
        u64 function = 0;
    };

    static void ring(void* self);
    bool ring_one();
    bool take_due(u32 slot, Call& call);
    void unlink(Timer& timer);
    Status reserve();
    void arm(Timer& timer);
    void disarm(Timer& timer);
    void settle(u32 place);
    void put(u32 place, Timer* timer);

    Runtime& runtime_;
    platform::Alarm alarm_;
    platform::SpinLock lock_;  // all below, and what timers and the fields of values say
    Timer** heap_ = nullptr;   // [place - 1], the first due first
    u32 armed_ = 0;
    u32 made_ = 0;
    u32 room_ = 0;  // in the heap, at least made_
    bool closing_ = false;
    bool ringing_ = false;
    const Timer* running_ = nullptr;  // whose function runs
    u32 running_slot_ = 0;
    u64 runs_ = 0;
};

}  // namespace ebpf::runtime
