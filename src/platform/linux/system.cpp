// SPDX-License-Identifier: MIT
#include "platform/system.hpp"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>

#include "platform/irql.hpp"
#include "platform/linux/clock.hpp"
#include "platform/lock.hpp"

namespace ebpf::platform {

constinit thread_local ThreadWord this_threads_word;

u64 monotonic_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}

u64 boot_ns() {
    return clock_ns(CLOCK_BOOTTIME);
}

u32 possible_cpus() {
    // Asked once: the C library reads a file for it, and each invocation wants to know.
    static std::atomic<u32> known{0};
    u32 count = known.load(std::memory_order_relaxed);
    if (count == 0) {
        const long answer = sysconf(_SC_NPROCESSORS_CONF);
        count = answer > 0 ? static_cast<u32>(answer) : 1;
        known.store(count, std::memory_order_relaxed);
    }
    return count;
}

u32 current_cpu() {
    const int cpu = sched_getcpu();
    return cpu > 0 ? static_cast<u32>(cpu) % possible_cpus() : 0;
}

u64 current_process_and_thread() {
    static thread_local const u64 thread = static_cast<u64>(syscall(SYS_gettid));
    return static_cast<u64>(getpid()) << 32 | thread;
}

void fill_random(MutableBytes out) {
    require_irql_at_most(Irql::Passive, "fill_random");
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t n = getrandom(out.data() + done, out.size() - done, 0);
        if (n > 0) done += static_cast<std::size_t>(n);
    }
}

// membarrier(2): a process registers once.
bool barrier_in_all_threads() {
    const auto barrier = [](int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; };
    return barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) ||
           (barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
            barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
}

void spin_pause(u32 round) {
    if (round % 64 == 63) {
        sched_yield();
    } else {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

void Event::signal() {
    std::atomic_ref(sequence_).fetch_add(1, std::memory_order_release);
    syscall(SYS_futex, &sequence_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

u32 Event::ticket() const {
    return __atomic_load_n(&sequence_, __ATOMIC_ACQUIRE);
}

bool Event::wait(u32 ticket_value, i32 timeout_ms) {
    require_irql_at_most(Irql::Passive, "Event::wait");
    const u64 deadline =
        monotonic_ns() + static_cast<u64>(timeout_ms < 0 ? 0 : timeout_ms) * 1'000'000;
    while (ticket() == ticket_value) {
        timespec left{};
        if (timeout_ms >= 0) {
            const u64 now = monotonic_ns();
            if (now >= deadline) return false;
            left.tv_sec = static_cast<time_t>((deadline - now) / 1'000'000'000);
            left.tv_nsec = static_cast<long>((deadline - now) % 1'000'000'000);
        }
        syscall(SYS_futex, &sequence_, FUTEX_WAIT_PRIVATE, ticket_value,
                timeout_ms >= 0 ? &left : nullptr, nullptr, 0);
    }
    return true;
}

}  // namespace ebpf::platform
