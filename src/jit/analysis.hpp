// SPDX-License-Identifier: MIT
//
// What a code generator wants to know about a program before it emits anything, for whatever CPU:
// which instructions are jumped to, which registers still matter after each instruction, and what
// each function needs. Linear in the program's size.
#pragma once

#include <optional>
#include <vector>

#include "ir/facts.hpp"
#include "ir/program.hpp"
#include "isa/registers.hpp"

namespace ebpf::jit {

using isa::kAllRegs;
using isa::kCallArgs;
using isa::reg_set;
using isa::registers_of;
using isa::RegSet;
using isa::RegUse;

// Registers that BPF does not have, which a machine may have left (optimise/): from this number on.
inline constexpr isa::Reg kSpare = isa::kRegisterCount;
inline constexpr u32 kSpareCount = 4;
inline constexpr u32 kRegisters = kSpare + kSpareCount;

// A function of the program (ir::Subprogram), as seen from the code generator.
struct Function {
    RegSet written = 0;        // registers that it writes itself; a call counts for r0 only
    bool uses_frame = false;   // names r10
    bool calls = false;        // anything
    bool is_callback = false;  // its address is taken
    u32 frame_bytes = 0;       // of BPF stack, 0 unless it uses_frame; a multiple of 16
    std::vector<u32> callees;  // functions that it calls or hands out as callbacks, may repeat
};

struct Analysis {
    std::vector<u8> is_target;       // per instruction: a jump goes there
    std::vector<u32> loop_end;       // ... the furthest back to it, or 0
    std::vector<u32> round_end;      // ... and the nearest
    std::vector<u8> reachable;       // per instruction, as the facts say; else 1
    std::vector<RegSet> live_after;  // per instruction
    std::vector<Function> functions;
    std::vector<u32> callees_first;  // every function, after all that it calls
    bool recursive = false;          // ... but for calls in a circle
    bool count_frames = false;       // nothing bounds the depth of calls but counting
    bool entry_is_called = false;    // by the program itself, or as a callback
    bool indexed_calls = false;      // a call by register whose number is not a constant
    RegSet written = 0;              // by any function, or by the caller of a callback
    bool calls_helpers = false;
    bool may_goto = false;  // counted in the invocation
};

// The number of the embedder's helper that the call by register at `at` reaches, where the same
// straight piece of code puts a constant there.
std::optional<u64> called_constant(const ir::Program& program, const Analysis& analysis, u32 at);

// Errors: InvalidArgument when the facts are another program's; TooLarge for a frame of more than
// isa::kStackSize bytes; BadFormat for a program that ir::decode_program would not have made.
//
// `registers`: how many there are; kRegisters after passes that use spare ones.
Result<Analysis> analyze(const ir::Program& program, const ir::Facts& facts,
                         u32 registers = isa::kRegisterCount);

}  // namespace ebpf::jit
