// SPDX-License-Identifier: MIT
//
// Random programs that terminate and stay inside their memory by construction, made of the rows of
// isa/'s table: straight-line operations, forward branches, counted loops, local calls, helper
// calls.
#pragma once

#include <random>
#include <vector>

#include "isa/insn.hpp"

namespace ebpf::engines {

// Bytes that a program may use at r1.
inline constexpr std::size_t kRandomMemory = 64;
// Helper that it may call: any function of its five arguments.
inline constexpr u32 kRandomHelper = 17;

// The same instructions for the same seed. r0 at the end depends on all registers.
std::vector<isa::Insn> random_program(u64 seed);

}  // namespace ebpf::engines
