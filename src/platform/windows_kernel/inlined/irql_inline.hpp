// SPDX-License-Identifier: MIT
//
// The level is the processor's CR8 register ("Intel 64 and IA-32 Architectures Software Developer's
// Manual", volume 3, "Task Priority in IA-32e Mode"), which is what KeGetCurrentIrql and its kin
// are in the DDK's headers: inline functions and no exports that every Windows has.
#pragma once

namespace ebpf::platform {

inline Irql current_irql() {
    u64 level;
    asm volatile("mov %%cr8, %0" : "=r"(level));
    return static_cast<Irql>(level);
}

inline void set_irql(Irql level) {
    asm volatile("mov %0, %%cr8" : : "r"(static_cast<u64>(level)) : "memory");
}

inline Irql raise_to_dispatch() {
    const Irql previous = current_irql();
    if (previous < Irql::Dispatch) set_irql(Irql::Dispatch);
    return previous;
}

inline void lower_irql(Irql previous) {
    if (previous < Irql::Dispatch) set_irql(previous);
}

}  // namespace ebpf::platform
