// SPDX-License-Identifier: MIT
// The passes by name (passes.def), and what they have in common.
#pragma once

#include "jit/optimise/optimise.hpp"
#include "jit/planted.hpp"

namespace ebpf::jit::pass {

#define PASS(name, what) \
    void name(Optimised& code, const Analysis& analysis, const Options& options);
#include "jit/optimise/passes.def"
#undef PASS

// Registers that matter before an instruction.
inline RegSet live_before(const ir::Program& program, const Analysis& analysis, u32 at) {
    const RegUse use = registers_of(program.insns[at]);
    return static_cast<RegSet>((analysis.live_after[at] & ~use.writes) | use.reads);
}

// Whether control goes on from an instruction to the one behind it.
constexpr bool falls_through(const isa::Insn& insn) {
    return insn.form != isa::Form::Exit && insn.form != isa::Form::Ja;
}

}  // namespace ebpf::jit::pass
