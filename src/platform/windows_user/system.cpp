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

using Clock = void(WINAPI*)(ULONGLONG* ticks);
constinit std::atomic<Clock> unbiased_time{nullptr};
constinit std::atomic<Clock> interrupt_time{nullptr};

// In the clocks' units; it goes on while the system is suspended ("Acquiring high-resolution time
// stamps", Microsoft).
void WINAPI performance_counter(ULONGLONG* ticks) {
    constexpr u64 kPerSecond = 10'000'000;
    LARGE_INTEGER counter;
    LARGE_INTEGER frequency;
    QueryPerformanceCounter(&counter);
    QueryPerformanceFrequency(&frequency);
    const auto count = static_cast<u64>(counter.QuadPart);
    const auto per_second = static_cast<u64>(frequency.QuadPart);
    *ticks = count / per_second * kPerSecond + count % per_second * kPerSecond / per_second;
}

// Every Windows that we run on (10, Server 2016) has the clocks. Wine 8 has not; its own are the
// performance counter, read every 16 ms.
u64 read(std::atomic<Clock>& known, const char* name) {
    Clock clock = known.load(std::memory_order_relaxed);
    if (clock == nullptr) {
        void* const found =
            reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"kernelbase.dll"), name));
        clock = found != nullptr ? reinterpret_cast<Clock>(found) : performance_counter;
        known.store(clock, std::memory_order_relaxed);
    }
    ULONGLONG ticks = 0;
    clock(&ticks);
    return ticks * kNsPerTick;
}

}  // namespace

constinit thread_local ThreadWord this_threads_word;

u64 monotonic_ns() {
    return read(unbiased_time, "QueryUnbiasedInterruptTimePrecise");
}

u64 boot_ns() {
    return read(interrupt_time, "QueryInterruptTimePrecise");
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

// FlushProcessWriteBuffers() is one, but Wine 8's does nothing and returns all the same.
bool barrier_in_all_threads() {
    return false;
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
