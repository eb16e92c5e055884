// SPDX-License-Identifier: MIT
//
// What is known of a program before it is analysed: successors, where paths join, which loops there
// are, which registers are still read, and the constants that it compares with.
#pragma once

#include <vector>

#include "ir/program.hpp"
#include "isa/registers.hpp"
#include "verifier/loop_nest.hpp"

namespace ebpf::verifier {

using isa::RegSet;

inline constexpr std::size_t kMaxThresholds = 4096;

struct Flow {
    std::vector<RegSet> live;  // registers read from here on before being written, per instruction
    std::vector<bool> join;    // two or more ways lead here
    LoopNest loops;
    // Where states are compared: joins, loops' heads, functions' beginnings. Their numbers per
    // instruction, below `places`; kNone elsewhere.
    static constexpr u32 kNone = ~u32{0};
    std::vector<u32> place;
    u32 places = 0;

    explicit Flow(const ir::Program& program);
};

}  // namespace ebpf::verifier
