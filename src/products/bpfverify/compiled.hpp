// SPDX-License-Identifier: MIT
// An accepted program in each of its forms, and the words that the dumps have for them.
#pragma once

#include <string>
#include <vector>

#include "ir/environment.hpp"
#include "ir/facts.hpp"
#include "ir/lower.hpp"
#include "jit/jit.hpp"

namespace ebpf::bpfverify {

struct Compiled {
    ir::Lowered lowered;      // what was compiled: at the optimising level, what that made of it
    std::vector<u32> origin;  // per instruction of it: the one of the program that it comes from
    std::vector<u32> place;   // ... and at whose place it stands (jit::Optimised)
    jit::Output output;

    // The machine code in front of all instructions, and that of instruction `at`; empty where it
    // became one sequence with others.
    Bytes prologue() const;
    Bytes code_of(u32 at) const;
    u32 offset_of(u32 at) const { return output.insn_offset[at]; }
};

// Errors: those of ir::lower() and jit::compile().
Result<Compiled> compile(const ir::Program& program, const ir::Facts& facts,
                         const ir::Environment& environment, const jit::Target& target,
                         bool optimise);

// What is proven of instruction `at` of `program`, or "".
std::string proven(const ir::Program& program, const ir::Facts& facts, u32 at);

// "file:line: text", the comment above what comes from there.
std::string heading(const ir::Program& program, const ir::SourceLine& line);

struct MachineInsn {
    u32 offset = 0;
    Bytes bytes;
    std::string text;
};
// Of `code`, which stands at `offset` of its text.
std::vector<MachineInsn> machine_insns(code::Cpu cpu, Bytes code, u32 offset);

}  // namespace ebpf::bpfverify
