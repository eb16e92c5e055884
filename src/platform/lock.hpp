// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "base/types.hpp"
#include "platform/irql.hpp"

namespace ebpf::platform {

// One step of a busy wait; after `round` rounds it gives the CPU away where the system has threads.
// <= DISPATCH.
void spin_pause(u32 round);

// Keeps what follows behind a sequentially consistent exchange that came before. On x86-64 the
// exchange does that itself; elsewhere a later load may overtake its store, as C++ allows.
inline void fence_after_exchange() {
#if defined(__x86_64__)
    std::atomic_signal_fence(std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// A lock for short sections. The holder runs at DISPATCH: it may not wait. <= DISPATCH.
class SpinLock {
  public:
    void lock() {
        const Irql previous = raise_to_dispatch();
        for (u32 round = 0; locked_.exchange(true, std::memory_order_acquire); ++round) {
            while (locked_.load(std::memory_order_relaxed)) spin_pause(round++);
        }
        previous_ = previous;
    }
    void unlock() {
        const Irql previous = previous_;
        locked_.store(false, std::memory_order_release);
        lower_irql(previous);
    }

  private:
    std::atomic<bool> locked_{false};
    Irql previous_ = Irql::Passive;  // written by the holder
};

class [[nodiscard]] LockGuard {
  public:
    explicit LockGuard(SpinLock& lock) : lock_(lock) { lock_.lock(); }
    ~LockGuard() { lock_.unlock(); }
    LockGuard(const LockGuard&) = delete;
    LockGuard& operator=(const LockGuard&) = delete;

  private:
    SpinLock& lock_;
};

}  // namespace ebpf::platform
