// SPDX-License-Identifier: MIT
//
// The helpers on the locks and timers that lie in values of maps.
#include "runtime/helper_call.hpp"
#include "runtime/map_value.hpp"

namespace ebpf::runtime {
namespace {

HELPER_FUNCTION(spin_lock) {
    take_lock(memory(r1));
    invocation->locks_held += 1;
    return 0;
}

HELPER_FUNCTION(spin_unlock) {
    invocation->locks_held -= 1;
    give_lock(memory(r1));
    return 0;
}

HELPER_FUNCTION(timer_init) {
    return returned(invocation, runtime_of(*invocation).timers().make(map_at(r2), memory(r1), r3));
}

HELPER_FUNCTION(timer_set_callback) {
    Timers& timers = runtime_of(*invocation).timers();
    return returned(invocation, timers.set_function(memory(r1), program_of(*invocation), r2));
}

HELPER_FUNCTION(timer_start) {
    return returned(invocation, runtime_of(*invocation).timers().start(memory(r1), r2, r3));
}

HELPER_FUNCTION(timer_cancel) {
    const auto was = runtime_of(*invocation).timers().cancel(memory(r1), invocation->slot);
    if (!was) return returned(invocation, was.error().code);
    return *was ? 1 : 0;
}

constexpr HelperRow kRows[] = {
    HELPER_ROW(timer_init),   HELPER_ROW(timer_set_callback), HELPER_ROW(timer_start),
    HELPER_ROW(timer_cancel), HELPER_ROW(spin_lock),          HELPER_ROW(spin_unlock),
};

}  // namespace

std::span<const HelperRow> field_helpers() {
    return kRows;
}

}  // namespace ebpf::runtime
