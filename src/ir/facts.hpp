// SPDX-License-Identifier: MIT
//
// What the verifier proved and the engines may rely on. A fact that is absent is unknown, never
// false. Indices are instruction indices of the program that was analysed; ir/lower carries them.
#pragma once

#include <vector>

#include "isa/insn.hpp"

namespace ebpf::ir {

enum class MemoryKind : u8 { Unknown, Stack, Context, Packet, MapValue, Other };

struct InsnFacts {
    bool reachable = false;
    MemoryKind memory = MemoryKind::Unknown;  // what a load, store or atomic touches, on every path
    bool divisor_nonzero = false;             // Div, Mod, SDiv, SMod by register
    i32 constant_map = -1;      // helper call: index of its map argument, if always the same
    bool constant_key = false;  // helper call: the map's key is always the 4 bytes of `key`
    u32 key = 0;
    // Conditional jump: which ways are possible. A way that is not is never taken.
    bool may_jump = false;
    bool may_fall_through = false;
};

struct Facts {
    std::vector<InsnFacts> insns;
    std::vector<u32> stack_used;  // bytes below the frame pointer, per subprogram
    u32 max_call_depth = 0;       // frames
};

}  // namespace ebpf::ir
