// SPDX-License-Identifier: MIT
#include "platform/alarm.hpp"

#include <new>

#include "platform/filetime.hpp"
#include "platform/irql.hpp"
#include "platform/memory.hpp"
#include "platform/system.hpp"
#include "platform/windows_kernel/ddk.hpp"

namespace ebpf::platform {
namespace {

struct State {
    void (*ring)(void* self) = nullptr;
    void* self = nullptr;
    ddk::Timer timer{};
    ddk::Dpc dpc{};
};

void rings(ddk::Dpc*, void* argument, void*, void*) {
    const auto& state = *static_cast<const State*>(argument);
    state.ring(state.self);
}

}  // namespace

Status Alarm::open(void (*ring)(void* self), void* self) {
    require_irql_at_most(Irql::Passive, "Alarm::open");
    void* memory = allocate(sizeof(State));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "alarm");
    auto* state = new (memory) State{.ring = ring, .self = self};
    ddk::KeInitializeTimer(&state->timer);
    ddk::KeInitializeDpc(&state->dpc, rings, state);
    state_ = state;
    return {};
}

// Timer objects expire with the system's clock: 15.6 ms apart unless somebody asked for less.
void Alarm::set(u64 due) {
    auto& state = *static_cast<State*>(state_);
    (void)ddk::KeSetTimer(&state.timer, timer_ticks(due, monotonic_ns()), &state.dpc);
}

void Alarm::close() {
    require_irql_at_most(Irql::Passive, "Alarm::close");
    if (state_ == nullptr) return;
    auto* state = static_cast<State*>(state_);
    (void)ddk::KeCancelTimer(&state->timer);
    ddk::KeFlushQueuedDpcs();  // also those that run on other processors
    release(state);
    state_ = nullptr;
}

}  // namespace ebpf::platform
