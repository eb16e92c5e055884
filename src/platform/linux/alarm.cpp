// SPDX-License-Identifier: MIT
#include "platform/alarm.hpp"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "platform/irql.hpp"
#include "platform/memory.hpp"
#include "platform/system.hpp"

namespace ebpf::platform {
namespace {

constexpr u64 kNever = ~u64{0};
constexpr u64 kSecond = 1'000'000'000;

struct State {
    void (*ring)(void* self) = nullptr;
    void* self = nullptr;
    pthread_t thread{};
    std::atomic<u64> due{kNever};
    std::atomic<bool> closing{false};
    u32 changes = 0;  // a futex
};

void wake(State& state) {
    std::atomic_ref(state.changes).fetch_add(1, std::memory_order_release);
    syscall(SYS_futex, &state.changes, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

// Until `due` or a change after `ticket`.
void wait(State& state, u32 ticket, u64 due) {
    const timespec until{static_cast<time_t>(due / kSecond), static_cast<long>(due % kSecond)};
    // The bitset's kind is the one with an absolute time, of CLOCK_MONOTONIC (futex(2)).
    syscall(SYS_futex, &state.changes, FUTEX_WAIT_BITSET_PRIVATE, ticket,
            due == kNever ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

void* follow(void* argument) {
    auto& state = *static_cast<State*>(argument);
    while (!state.closing.load(std::memory_order_acquire)) {
        const u32 ticket = std::atomic_ref(state.changes).load(std::memory_order_acquire);
        u64 due = state.due.load(std::memory_order_acquire);
        if (due > monotonic_ns()) {
            wait(state, ticket, due);
        } else if (state.due.compare_exchange_strong(due, kNever, std::memory_order_acq_rel)) {
            state.ring(state.self);
        }
    }
    return nullptr;
}

// The application's signals are none of this thread's business.
int start(State& state) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&state.thread, nullptr, follow, &state);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return error;
}

}  // namespace

Status Alarm::open(void (*ring)(void* self), void* self) {
    require_irql_at_most(Irql::Passive, "Alarm::open");
    void* memory = allocate(sizeof(State));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "alarm");
    auto* state = new (memory) State{.ring = ring, .self = self};
    if (const int error = start(*state); error != 0) {
        release(memory);
        return fail(Errc::NoMemory, {}, "the alarm's thread: errno", static_cast<u64>(error));
    }
    state_ = state;
    return {};
}

void Alarm::set(u64 due) {
    auto& state = *static_cast<State*>(state_);
    state.due.store(due, std::memory_order_release);
    wake(state);
}

void Alarm::close() {
    require_irql_at_most(Irql::Passive, "Alarm::close");
    if (state_ == nullptr) return;
    auto* state = static_cast<State*>(state_);
    state->closing.store(true, std::memory_order_release);
    wake(*state);
    pthread_join(state->thread, nullptr);
    state->~State();
    release(state);
    state_ = nullptr;
}

}  // namespace ebpf::platform
