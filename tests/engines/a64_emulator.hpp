// SPDX-License-Identifier: MIT
//
// Machine code for AArch64, run by a small program for that CPU (a64_runner.c) under qemu-aarch64.
// One emulator serves the whole test program, and another one after a crash. Helpers are called
// back over its pipes: they run here, so that they see numbers, not the emulated program's memory.
#pragma once

#include "engine.hpp"
#include "jit/jit.hpp"

namespace ebpf::engines {

inline constexpr jit::Target kEmulatedTarget{.cpu = code::Cpu::AArch64,
                                             .convention = jit::CallingConvention::Aapcs64};
// The invocation's slot, and the words of an array of maps (a64_runner.c).
inline constexpr u32 kEmulatedSlot = 3;
inline constexpr u32 kEmulatedObjects = 3;

// Whether this is built where there is such an emulator, and what builds programs for it.
bool emulates();

struct EmulatedLimits {
    u64 fuel = ~u64{0};
    u64 may_goto = code::kMaxMayGoto;
    bool checked = false;        // with bounds around the memory
    bool refuses_calls = false;  // ... where a helper may be called unless r1 % 16 is 3
    // The memory stands at the same address there as here, which must be a multiple of the page's
    // size and free there; else an address in the memory as r0 is brought from there to here.
    bool same_address = false;
};

struct Emulated {
    u64 r0 = 0, fault = 0, fuel = 0;
    bool reached_outer_frame = false;  // a checked access to the frame of a caller
};

// Enters the code with `memory`, which is what it is there afterwards. The values of arrays stand
// where the code begins, the slots of arrays of maps are its last kEmulatedObjects words. A map's
// own lookup is the helper of the map's number. Failed when it crashes or changes registers that
// the convention keeps.
Result<Emulated> emulate(const jit::Output& output, MutableBytes memory, const Helpers& helpers,
                         const EmulatedLimits& limits);

}  // namespace ebpf::engines
