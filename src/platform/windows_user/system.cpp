// SPDX-License-Identifier: MIT
#include "platform/system.hpp"

#include <windows.h>
// After windows.h, which they need.
#include <bcrypt.h>

#include <algorithm>
#include <atomic>

#include "platform/irql.hpp"
#include "platform/lock.hpp"

namespace ebpf::platform {
namespace {

constexpr u64 kNsPerTick = 100;  // both clocks count 100 ns

thread_local ThreadWord word;

}  // namespace

u64 monotonic_ns() {
    ULONGLONG ticks = 0;
    QueryUnbiasedInterruptTimePrecise(&ticks);
    return ticks * kNsPerTick;
}

u64 boot_ns() {
    ULONGLONG ticks = 0;
    QueryInterruptTimePrecise(&ticks);
    return ticks * kNsPerTick;
}

u32 possible_cpus() {
    const DWORD count = GetMaximumProcessorCount(ALL_PROCESSOR_GROUPS);
    return count > 0 ? count : 1;
}

u32 current_cpu() {
    PROCESSOR_NUMBER number{};
    GetCurrentProcessorNumberEx(&number);
    return (number.Group * u32{64} + number.Number) % possible_cpus();
}

u64 current_process_and_thread() {
    return u64{GetCurrentProcessId()} << 32 | GetCurrentThreadId();
}

void fill_random(MutableBytes out) {
    require_irql_at_most(Irql::Passive, "fill_random");
    // Cannot fail with the system's own generator ("BCryptGenRandom", Microsoft).
    BCryptGenRandom(nullptr, reinterpret_cast<PUCHAR>(out.data()), static_cast<ULONG>(out.size()),
                    BCRYPT_USE_SYSTEM_PREFERRED_RNG);
}

ThreadWord& thread_word() {
    return word;
}

void spin_pause(u32 round) {
    if (round % 64 == 63) {
        SwitchToThread();
    } else {
        YieldProcessor();
    }
}

void Event::signal() {
    std::atomic_ref(sequence_).fetch_add(1, std::memory_order_release);
    WakeByAddressAll(&sequence_);
}

u32 Event::ticket() const {
    return __atomic_load_n(&sequence_, __ATOMIC_ACQUIRE);
}

bool Event::wait(u32 ticket_value, i32 timeout_ms) {
    require_irql_at_most(Irql::Passive, "Event::wait");
    const u64 deadline = boot_ns() + static_cast<u64>(std::max(timeout_ms, 0)) * 1'000'000;
    while (ticket() == ticket_value) {
        DWORD left = INFINITE;
        if (timeout_ms >= 0) {
            const u64 now = boot_ns();
            if (now >= deadline) return false;
            left = static_cast<DWORD>((deadline - now + 999'999) / 1'000'000);
        }
        WaitOnAddress(&sequence_, &ticket_value, sizeof ticket_value, left);
    }
    return true;
}

}  // namespace ebpf::platform
