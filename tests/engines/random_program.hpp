// SPDX-License-Identifier: MIT
//
// Random programs that terminate and stay inside their memory by construction, made of the rows of
// isa/'s table: straight-line operations, forward branches, counted loops, local calls, helper
// calls.
#pragma once

#include <array>
#include <random>
#include <vector>

#include "code/engine.hpp"
#include "isa/insn.hpp"

namespace ebpf::engines {

// Bytes that a program may use at r1.
inline constexpr std::size_t kRandomMemory = 64;
// Helpers that it may call: a mix of the five arguments, and those of a map of kRandomMapSize
// numbers: store returns what was there before.
inline constexpr u32 kRandomHelper = 17;
inline constexpr u32 kRandomMapStore = 18;
inline constexpr u32 kRandomMapLoad = 19;
inline constexpr u32 kRandomMapSize = 16;

// The helpers by number, null for any other; the map that they use is one for the whole process.
code::HelperFn random_helper(u32 number);
std::array<u64, kRandomMapSize>& random_map();

// The same instructions for the same seed. r0 at the end depends on all registers.
std::vector<isa::Insn> random_program(u64 seed);

}  // namespace ebpf::engines
