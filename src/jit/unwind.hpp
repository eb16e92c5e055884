// SPDX-License-Identifier: MIT
//
// What a debugger, a profiler or an exception that passes through needs to find the way back from
// generated code to its caller: how each function's frame is made and taken down. Noted by the
// compiler as it emits, written in the form that the target's system reads:
//
//     Dwarf     an .eh_frame section: one CIE, one FDE per function, a terminator (Linux Standard
//               Base Core 5.0, 10.6; DWARF 5, 6.4). Exact at every instruction.
//     Windows   RUNTIME_FUNCTION entries, then what they point to ("x64 exception handling" in the
//               documentation of the Visual C++ ABI). The end of a function is not described: the
//               system reads its instructions there.
//
// Both are position-independent: addresses in them count from where the data or the text stands.
#pragma once

#include <span>
#include <vector>

#include "jit/jit.hpp"

namespace ebpf::jit {

// One change of the frame, in force after the instruction that ends at text offset `at`.
struct FrameStep {
    enum class Kind : u8 {
        Push,      // the caller's `reg` goes to the stack
        Pop,       // ... and comes back
        Grow,      // the stack grows by `bytes`
        Shrink,    // ... and shrinks
        Remember,  // the way out begins: after it the frame is what it is now,
        Recall,    // here
    } kind{};
    u8 reg = 0;  // as the machine numbers it
    u32 bytes = 0;
    u32 at = 0;
};

// A function's frame, from what a call leaves: the return address on top of the stack, or (AArch64)
// in its register.
struct FrameHistory {
    u32 begin = 0, end = 0;  // in the text
    std::span<const FrameStep> steps;
};

// Appends the data for `functions`, in ascending order, to `text`, and says where in it the table
// that the system is given stands. Windows' format only for x86-64.
code::UnwindData append_unwind(const Target& target, std::span<const FrameHistory> functions,
                               std::vector<std::byte>& text);

}  // namespace ebpf::jit
