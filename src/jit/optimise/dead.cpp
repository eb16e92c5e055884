// SPDX-License-Identifier: MIT
#include "jit/optimise/edit.hpp"
#include "jit/optimise/passes.hpp"

namespace ebpf::jit::pass {

using isa::Form;
using isa::Insn;

namespace {

// An address that the execution context fills in may be one that it does not have: that is said
// whether somebody reads it or not.
bool can_go(const Insn& insn) {
    return only_sets_dst(insn) && (insn.form != Form::Wide || insn.wide() == isa::WideKind::Imm64);
}

// r = r
bool does_nothing(const Insn& insn) {
    const bool mov = (insn.form == Form::AluReg && insn.alu() == isa::AluOp::Mov);
    return mov && insn.is64() && insn.dst == insn.src;
}

}  // namespace

// Backwards: what an instruction that goes would have read is not wanted for it.
void dead(Optimised& code, const Analysis& analysis, const Options& options_) {
    (void)options_;
    const ir::Program& p = code.program;
    Edit edit(code);
    RegSet live = 0;
    for (u32 i = static_cast<u32>(p.insns.size()); i-- > 0;) {
        const Insn& insn = p.insns[i];
        // The end of a block; from there on it is known better.
        if (insn.is_jump() || insn.form == Form::Exit || i + 1 == p.insns.size() ||
            analysis.is_target[i + 1]) {
            live = analysis.live_after[i];
        }
        const RegUse use = registers_of(insn);
        const RegSet wanted = PLANTED(DeadForgetsR5) ? live & ~reg_set(5) : live;
        const bool goes = analysis.reachable[i] && can_go(insn) &&
                          ((use.writes & wanted) == 0 || does_nothing(insn));
        if (goes) {
            edit.remove(i);
        } else {
            live = static_cast<RegSet>((live & ~use.writes) | use.reads);
        }
    }
    edit.apply();
}

}  // namespace ebpf::jit::pass
