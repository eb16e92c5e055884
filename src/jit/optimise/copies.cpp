// SPDX-License-Identifier: MIT
#include <array>

#include "jit/optimise/passes.hpp"

namespace ebpf::jit::pass {

using isa::AluOp;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

namespace {

// What registers are copies of, in a block.
class Copies {
  public:
    Copies() { forget_all(); }

    void forget_all() { of_.fill({kNone, Width::W64}); }
    void record(const Insn& mov) {
        if (mov.dst != mov.src) of_[mov.dst] = {mov.src, mov.width};
    }
    void forget(RegSet written) {
        for (u32 r = 0; r < of_.size(); ++r) {
            const bool stale = of_[r].src != kNone && (written & reg_set(of_[r].src)) != 0;
            if (stale || (written & reg_set(static_cast<Reg>(r))) != 0) of_[r].src = kNone;
        }
    }
    // The register to read instead of `reg`, of which `width` low bits matter.
    Reg source(Reg reg, Width width) const {
        const Copy& copy = of_[reg];
        return copy.src != kNone && width <= copy.width ? copy.src : reg;
    }

  private:
    static constexpr Reg kNone = 0xFF;
    struct Copy {
        Reg src;
        Width width;  // W32: of the low half, the upper one is 0
    };
    std::array<Copy, 16> of_;
};

void read_originals(Insn& insn, const Copies& copies) {
    switch (insn.form) {
        case Form::AluReg:
            insn.src = copies.source(insn.src, insn.width);
            return;
        case Form::MovSx:
            insn.src = copies.source(insn.src, static_cast<Width>(insn.from_bits / 8));
            return;
        case Form::JmpReg:
            insn.src = copies.source(insn.src, insn.width);
            insn.dst = copies.source(insn.dst, insn.width);
            return;
        case Form::JmpImm:
            insn.dst = copies.source(insn.dst, insn.width);
            return;
        case Form::Load:
        case Form::LoadSx:
            insn.src = copies.source(insn.src, Width::W64);
            return;
        case Form::StoreReg:
            insn.src = copies.source(insn.src, insn.width);
            insn.dst = copies.source(insn.dst, Width::W64);
            return;
        case Form::StoreImm:
            insn.dst = copies.source(insn.dst, Width::W64);
            return;
        default:  // the others read what they write, or registers that they do not name
            return;
    }
}

}  // namespace

void copies(Optimised& code, const Analysis& analysis, const Options& options_) {
    (void)options_;
    Copies known;
    for (u32 i = 0; i < code.program.insns.size(); ++i) {
        Insn& insn = code.program.insns[i];
        if ((analysis.is_target[i] && !PLANTED(CopiesOutliveBlocks)) || !analysis.reachable[i])
            known.forget_all();
        read_originals(insn, known);
        if (!falls_through(insn)) {  // what follows is come to from elsewhere
            known.forget_all();
            continue;
        }
        if (!PLANTED(CopiesOutliveWrites)) known.forget(registers_of(insn).writes);
        if (insn.form == Form::AluReg && insn.alu() == AluOp::Mov) known.record(insn);
    }
}

}  // namespace ebpf::jit::pass
