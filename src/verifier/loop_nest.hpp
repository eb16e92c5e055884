// SPDX-License-Identifier: MIT
//
// The loops of a program and how they lie in one another, whatever the order of its instructions. A
// loop's head is where a walk in depth comes back to on its own way; of the loop is what leads back
// to the head from below it. Loops with a second way in are found, too, only without what leads to
// that. See Havlak, "Nesting of reducible and irreducible loops", TOPLAS 19(4), 1997.
#pragma once

#include <span>
#include <vector>

#include "ir/program.hpp"

namespace ebpf::verifier {

struct LoopNest {
    static constexpr u32 kNone = ~u32{0};

    // Per instruction:
    std::vector<bool> head;
    std::vector<u32> around;  // head of the innermost loop that it is in, for heads: around theirs
    std::vector<u32> outermost;    // head of the outermost loop of its function that it is in
    std::vector<u32> first, last;  // heads: of their loops' instructions

    explicit LoopNest(const ir::Program& program);

    // Whether the instruction is in the loop of `outer`, and not its head.
    bool is_inside(u32 insn, u32 outer) const {
        do insn = around[insn];
        while (insn != kNone && insn != outer);
        return insn != kNone;
    }
};

}  // namespace ebpf::verifier
