// SPDX-License-Identifier: MIT
#include "platform/system.hpp"

#include <atomic>

#include "platform/irql.hpp"
#include "platform/lock.hpp"
#include "platform/windows_kernel/ddk.hpp"

namespace ebpf::platform {
namespace {

constexpr u64 kNsPerTick = 100;  // interrupt time counts 100 ns

// Threads that wait for an Event stand in one of these lists, chosen by the event's address: the
// kernel has nothing like a futex, and an Event is only a word.
struct Waiter {
    const void* event;
    ddk::Event wake;
    Waiter* next;
};
struct Bucket {
    SpinLock lock;
    Waiter* waiters = nullptr;
};
constexpr u64 kBuckets = 64;
constinit Bucket buckets[kBuckets];

Bucket& bucket_of(const void* event) {
    return buckets[reinterpret_cast<u64>(event) / 64 % kBuckets];
}

}  // namespace

constinit ThreadWord processors_words[kMaxProcessors];

u64 monotonic_ns() {
    u64 counter;
    return ddk::KeQueryUnbiasedInterruptTimePrecise(&counter) * kNsPerTick;
}

u64 boot_ns() {
    u64 counter;
    return ddk::KeQueryInterruptTimePrecise(&counter) * kNsPerTick;
}

u32 possible_cpus() {
    return ddk::KeQueryMaximumProcessorCountEx(ddk::kAllGroups);
}

u32 current_cpu() {
    return ddk::KeGetCurrentProcessorNumberEx(nullptr);
}

u64 current_process_and_thread() {
    const u64 process = reinterpret_cast<u64>(ddk::PsGetCurrentProcessId());
    const u64 thread = reinterpret_cast<u64>(ddk::PsGetCurrentThreadId());
    return process << 32 | (thread & 0xFFFF'FFFF);
}

void fill_random(MutableBytes out) {
    require_irql_at_most(Irql::Passive, "fill_random");
    // Cannot fail with the system's own generator at PASSIVE ("BCryptGenRandom", Microsoft).
    (void)ddk::BCryptGenRandom(nullptr, reinterpret_cast<u8*>(out.data()),
                               static_cast<u32>(out.size()), ddk::kSystemPreferredRng);
}

bool barrier_in_all_threads() {
    return false;
}

// Who holds what is waited for runs at DISPATCH on another processor: giving this one away is no
// use.
void spin_pause(u32) {
    __builtin_ia32_pause();
}

void Event::signal() {
    std::atomic_ref(sequence_).fetch_add(1, std::memory_order_release);
    Bucket& bucket = bucket_of(this);
    LockGuard guard(bucket.lock);
    // A waiter that is woken takes itself off the list under the lock, so none can vanish here.
    for (Waiter* waiter = bucket.waiters; waiter != nullptr; waiter = waiter->next) {
        if (waiter->event == this) ddk::KeSetEvent(&waiter->wake, 0, 0);
    }
}

u32 Event::ticket() const {
    return __atomic_load_n(&sequence_, __ATOMIC_ACQUIRE);
}

bool Event::wait(u32 ticket_value, i32 timeout_ms) {
    require_irql_at_most(Irql::Passive, "Event::wait");
    Waiter self{.event = this, .wake = {}, .next = nullptr};
    ddk::KeInitializeEvent(&self.wake, ddk::kNotificationEvent, 0);
    Bucket& bucket = bucket_of(this);
    {
        LockGuard guard(bucket.lock);
        self.next = bucket.waiters;
        bucket.waiters = &self;
    }
    // A signal before the list was entered shows in the ticket, a later one in the event.
    bool signalled = ticket() != ticket_value;
    if (!signalled) {
        const i64 ticks = -i64{timeout_ms} * 10'000;  // negative: from now on
        const ddk::NtStatus status = ddk::KeWaitForSingleObject(
            &self.wake, ddk::kExecutive, ddk::kKernelMode, 0, timeout_ms < 0 ? nullptr : &ticks);
        signalled = status != ddk::kTimeout;
    }
    LockGuard guard(bucket.lock);
    Waiter** link = &bucket.waiters;
    while (*link != &self) link = &(*link)->next;
    *link = self.next;
    return signalled;
}

}  // namespace ebpf::platform
