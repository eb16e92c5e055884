// SPDX-License-Identifier: MIT
#include "isa/registers.hpp"

namespace ebpf::isa {

RegUse registers_of(const Insn& insn) {
    const RegSet dst = reg_set(insn.dst);
    const RegSet src = reg_set(insn.src);
    switch (insn.form) {
        case Form::AluReg:
            return {static_cast<RegSet>(insn.alu() == AluOp::Mov ? src : dst | src), dst};
        case Form::AluImm:
            return {static_cast<RegSet>(insn.alu() == AluOp::Mov ? 0 : dst), dst};
        case Form::Neg:
        case Form::Endian:
            return {dst, dst};
        case Form::MovSx:
        case Form::Load:
        case Form::LoadSx:
            return {src, dst};
        case Form::StoreReg:
            return {static_cast<RegSet>(dst | src), 0};
        case Form::StoreImm:
            return {dst, 0};
        case Form::Atomic: {
            RegUse use{static_cast<RegSet>(dst | src), 0};
            if (insn.atomic() >= AtomicOp::FetchAdd) use.writes = src;
            if (insn.atomic() == AtomicOp::CmpXchg) {
                use.reads |= reg_set(0);
                use.writes = reg_set(0);
            }
            return use;
        }
        case Form::JmpReg:
            return {static_cast<RegSet>(dst | src), 0};
        case Form::JmpImm:
            return {dst, 0};
        case Form::MayGoto:
        case Form::Ja:
            return {};
        case Form::Call:
            return {kCallArgs, kCallClobbers};
        case Form::CallReg:
            return {static_cast<RegSet>(kCallArgs | dst), kCallClobbers};
        case Form::Exit:
            return {reg_set(0), 0};
        case Form::Wide:
            return {0, dst};
        case Form::LegacyLoad:
            // An absolute load has no index register.
            return {
                static_cast<RegSet>(reg_set(6) | (insn.legacy() == LegacyMode::Indirect ? src : 0)),
                kCallClobbers};
    }
    return {kAllRegs, 0};
}

}  // namespace ebpf::isa
