// SPDX-License-Identifier: MIT
#include "platform/alarm.hpp"

#include <windows.h>

#include <new>

#include "platform/filetime.hpp"
#include "platform/irql.hpp"
#include "platform/memory.hpp"
#include "platform/system.hpp"

namespace ebpf::platform {
namespace {

struct State {
    void (*ring)(void* self) = nullptr;
    void* self = nullptr;
    PTP_TIMER timer = nullptr;
};

void CALLBACK rings(PTP_CALLBACK_INSTANCE, void* argument, PTP_TIMER) {
    const auto& state = *static_cast<const State*>(argument);
    state.ring(state.self);
}

}  // namespace

Status Alarm::open(void (*ring)(void* self), void* self) {
    require_irql_at_most(Irql::Passive, "Alarm::open");
    void* memory = allocate(sizeof(State));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "alarm");
    auto* state = new (memory) State{.ring = ring, .self = self};
    state->timer = CreateThreadpoolTimer(rings, state, nullptr);
    if (state->timer == nullptr) {
        release(memory);
        return fail(Errc::NoMemory, {}, "the alarm's timer", GetLastError());
    }
    state_ = state;
    return {};
}

void Alarm::set(u64 due) {
    LARGE_INTEGER from_now;
    from_now.QuadPart = timer_ticks(due, monotonic_ns());
    FILETIME when{from_now.LowPart, static_cast<DWORD>(from_now.HighPart)};
    SetThreadpoolTimer(static_cast<State*>(state_)->timer, &when, 0, 0);
}

void Alarm::close() {
    require_irql_at_most(Irql::Passive, "Alarm::close");
    if (state_ == nullptr) return;
    auto* state = static_cast<State*>(state_);
    SetThreadpoolTimer(state->timer, nullptr, 0, 0);
    WaitForThreadpoolTimerCallbacks(state->timer, TRUE);
    CloseThreadpoolTimer(state->timer);
    release(state);
    state_ = nullptr;
}

}  // namespace ebpf::platform
