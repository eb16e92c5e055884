// SPDX-License-Identifier: MIT
// Time, CPUs, threads, random numbers and waiting.
#pragma once

#include "base/error.hpp"

namespace ebpf::platform {

// Nanoseconds since the system started; monotonic_ns() leaves out the time that it was suspended.
// <= DISPATCH.
u64 monotonic_ns();
u64 boot_ns();

// CPUs that the system can ever have, at least 1. <= DISPATCH.
u32 possible_cpus();
// The one that runs this thread now; below possible_cpus(). <= DISPATCH.
u32 current_cpu();

// Process id in the high half, thread id in the low one. <= DISPATCH.
u64 current_process_and_thread();

// Unpredictable bytes. PASSIVE.
void fill_random(MutableBytes out);

// What this thread has that the runtime keeps its execution slot in; zero at first. Of threads that
// live at the same time each has its own. In the kernel, where a thread at DISPATCH stays on its
// CPU, it is the CPU's. <= DISPATCH to read, DISPATCH to write there.
struct ThreadWord {
    // The slot that it holds.
    struct Held {
        const void* owner = nullptr;
        u32 slot = 0;
        u32 depth = 0;
    };
    // The one that it may take without asking.
    struct Home {
        u64 owner = 0;
        u32 slot = 0;
    };
    Held held;
    Home home;
};
ThreadWord& thread_word();

// Returns when every other thread of this process has passed a full memory barrier since the call
// (or did not run), so that those need none of their own. False where there is no such thing, now
// and always: on Windows, or under a system call filter. <= DISPATCH.
bool barrier_in_all_threads();

// Wakes threads that wait for something to become true.
class Event {
  public:
    // Wakes all current waiters. <= DISPATCH.
    void signal();
    // A ticket for wait(): taken before the condition is looked at, so that no signal is missed.
    u32 ticket() const;
    // Returns when signal() was called after `ticket` was taken (true), or after timeout_ms
    // (false); -1 waits for ever. PASSIVE.
    bool wait(u32 ticket, i32 timeout_ms);

  private:
    u32 sequence_ = 0;
};

}  // namespace ebpf::platform

#include "thread_word_inline.hpp"  // the system's
