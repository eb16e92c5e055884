// SPDX-License-Identifier: MIT
//
// What is known of a program before it is analysed: successors, where paths join, where loops may
// begin, which registers are still read, and the constants that it compares with.
#pragma once

#include <vector>

#include "ir/program.hpp"
#include "isa/registers.hpp"

namespace ebpf::verifier {

using isa::RegSet;

inline constexpr std::size_t kMaxThresholds = 4096;

struct Flow {
    std::vector<RegSet> live;  // registers read from here on before being written, per instruction
    std::vector<bool> join;    // two or more ways lead here
    std::vector<bool> loop_head;   // the target of a backward jump
    std::vector<u32> loop_end;     // loop heads: the last jump back to it
    std::vector<u32> loop_around;  // head of the outermost loop of its function around it, or kNone

    static constexpr u32 kNone = ~u32{0};

    explicit Flow(const ir::Program& program);
};

}  // namespace ebpf::verifier
