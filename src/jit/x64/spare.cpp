// SPDX-License-Identifier: MIT
// Which registers the code of a function leaves alone, for the optimising level.
#include "jit/x64/spare.hpp"

#include "jit/x64/abi.hpp"

namespace ebpf::jit::x64 {

using isa::AluOp;
using isa::Form;
using isa::Insn;

namespace {

constexpr RegSet kBothScratch = reg_set(kSpareScratch) | reg_set(kSpareScratch2);
constexpr RegSet kAllSpare = kBothScratch | reg_set(kBlinded) | reg_set(kSpareInvocation);

RegSet scratch_of_arithmetic(const Insn& insn, bool bmi2) {
    switch (insn.alu()) {
        case AluOp::Add:
        case AluOp::Sub:
        case AluOp::Or:
        case AluOp::And:
        case AluOp::Xor:
        case AluOp::Mov:
            return 0;
        case AluOp::Lsh:
        case AluOp::Rsh:
        case AluOp::Arsh:
            return insn.form == Form::AluReg && !bmi2 ? reg_set(kSpareScratch2) : RegSet{0};
        case AluOp::Mul:  // by constants like 31
            return insn.form == Form::AluImm ? reg_set(kSpareScratch) : RegSet{0};
        case AluOp::Div:
        case AluOp::SDiv:
        case AluOp::Mod:
        case AluOp::SMod:
            return kBothScratch;
    }
    return kBothScratch;
}

// Scratch registers that an instruction's code uses. A call may use anything.
RegSet scratch_of(const Insn& insn, bool bmi2) {
    switch (insn.form) {
        case Form::AluReg:
        case Form::AluImm:
            return scratch_of_arithmetic(insn, bmi2);
        case Form::Neg:
        case Form::MovSx:
        case Form::Endian:
        case Form::Load:
        case Form::LoadSx:
        case Form::StoreReg:
        case Form::StoreImm:
        case Form::JmpReg:
        case Form::JmpImm:
        case Form::MayGoto:
        case Form::Ja:
        case Form::Exit:
        case Form::Wide:
            return 0;
        case Form::Atomic:
            return kBothScratch;
        case Form::Call:
        case Form::CallReg:
        case Form::LegacyLoad:
            return kAllSpare;
    }
    return kAllSpare;
}

}  // namespace

std::vector<RegSet> spare_registers(const ir::Program& program, const Analysis& analysis,
                                    const Target& target, const Options& options) {
    if (options.blind_constants || options.can_end_early() || analysis.count_frames) return {};
    const bool invocation = analysis.calls_helpers || analysis.may_goto || analysis.indexed_calls;
    std::vector<RegSet> spare(program.subprograms.size(),
                              invocation ? kAllSpare & ~reg_set(kSpareInvocation) : kAllSpare);
    for (u32 f = 0; f < spare.size(); ++f) {
        const ir::Subprogram& s = program.subprograms[f];
        for (u32 i = s.begin; i < s.end; ++i)
            spare[f] &= static_cast<RegSet>(~scratch_of(program.insns[i], target.bmi2));
    }
    return spare;
}

}  // namespace ebpf::jit::x64
