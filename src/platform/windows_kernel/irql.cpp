// SPDX-License-Identifier: MIT
//
// The level is the processor's CR8 register ("Intel 64 and IA-32 Architectures Software Developer's
// Manual", volume 3, "Task Priority in IA-32e Mode"), which is what KeGetCurrentIrql and its kin
// are in the DDK's headers: inline functions and no exports that every Windows has.
#include "platform/irql.hpp"

#include "platform/windows_kernel/ddk.hpp"

namespace ebpf::platform {
namespace {

constexpr u32 kUnexpectedLevel = 0xC8;    // IRQL_UNEXPECTED_VALUE
constexpr u32 kManuallyInitiated = 0xE2;  // MANUALLY_INITIATED_CRASH

u64 read_level() {
    u64 level;
    asm volatile("mov %%cr8, %0" : "=r"(level));
    return level;
}

void write_level(u64 level) {
    asm volatile("mov %0, %%cr8" : : "r"(level) : "memory");
}

}  // namespace

Irql current_irql() {
    return static_cast<Irql>(read_level());
}

Irql raise_to_dispatch() {
    const u64 previous = read_level();
    if (previous < static_cast<u64>(Irql::Dispatch)) write_level(static_cast<u64>(Irql::Dispatch));
    return static_cast<Irql>(previous);
}

void lower_irql(Irql previous) {
    if (previous < Irql::Dispatch) write_level(static_cast<u64>(previous));
}

void require_irql_at_most(Irql highest, const char* function) {
    const u64 level = read_level();
    if (level <= static_cast<u64>(highest)) return;
    ddk::KeBugCheckEx(kUnexpectedLevel, level << 16 | static_cast<u64>(highest),
                      reinterpret_cast<u64>(function), 0, 0);
}

void require(bool holds, const char* what) {
    if (holds) return;
    ddk::KeBugCheckEx(kManuallyInitiated, reinterpret_cast<u64>(what), 0, 0, 0);
}

}  // namespace ebpf::platform
