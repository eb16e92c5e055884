// SPDX-License-Identifier: MIT
// States in the notation of Linux's verifier, for its log: `R1=ctx() R2=pkt(off=14,r=14) R10=fp0
// fp-8=mmmmmmmm`.
#pragma once

#include <string>

#include "ir/program.hpp"
#include "verifier/state.hpp"

namespace ebpf::verifier::linux_log_text {

// What of the innermost frame is written: registers, and stack slots of 8 bytes, the highest first.
struct Shown {
    RegSet regs = 0;
    u64 slots = 0;
};
inline constexpr Shown kEverything{isa::kAllRegs, ~u64{0}};

// " frame1: R1=5 R10=fp0": of frame `frame`, with references when it is the innermost and all is
// shown. Empty when nothing of it is set.
std::string frame_text(const ir::Program& program, const State& state, std::size_t frame,
                       const Shown& shown);

// "scalar", "map_value_or_null": the kind of what a register holds.
std::string kind_text(const Reg& reg);

std::string hex(u64 value);  // 0x1f

}  // namespace ebpf::verifier::linux_log_text
