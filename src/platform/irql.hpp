// SPDX-License-Identifier: MIT
//
// The interrupt request level: what the Windows kernel allows depends on it. Each function of
// platform/ states the highest level that it may run at. User-mode builds keep a simulated level
// per thread and end the process with a message when a function is called above its level, so that
// a wait or a blocking allocation at DISPATCH fails in a test and not on somebody's machine.
#pragma once

#include "base/types.hpp"

namespace ebpf::platform {

enum class Irql : u8 { Passive = 0, Apc = 1, Dispatch = 2 };

// The level of this thread. Any level.
Irql current_irql();

// Raises to DISPATCH, where the thread is neither preempted nor moved to another CPU (Windows
// kernel; only simulated in user mode), and returns the level to give to lower_irql(). <= DISPATCH.
Irql raise_to_dispatch();
void lower_irql(Irql previous);

// DISPATCH for a scope. <= DISPATCH.
class [[nodiscard]] DispatchGuard {
  public:
    DispatchGuard();
    ~DispatchGuard();
    DispatchGuard(const DispatchGuard&) = delete;
    DispatchGuard& operator=(const DispatchGuard&) = delete;

  private:
    Irql previous_;
};

// Ends the process (the system, in the kernel) when this thread runs above `highest`.
void require_irql_at_most(Irql highest, const char* function);

// Ends the process (the system, in the kernel) unless it `holds`: for what only a bug of ours can
// break and nobody could go on after. Any level.
void require(bool holds, const char* what);

}  // namespace ebpf::platform

#include "irql_inline.hpp"  // the system's

namespace ebpf::platform {

inline DispatchGuard::DispatchGuard() : previous_(raise_to_dispatch()) {}
inline DispatchGuard::~DispatchGuard() {
    lower_irql(previous_);
}

}  // namespace ebpf::platform
