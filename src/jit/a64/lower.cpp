// SPDX-License-Identifier: MIT
// Instructions of BPF in AArch64's.
#include "jit/a64/compiler.hpp"

namespace ebpf::jit::a64 {

using isa::Form;
using isa::Insn;

u32 Compiler::lower_sequence(u32 at) {
    const Insn& insn = program_.insns[at];
    if (insn.form != Form::AluReg && insn.form != Form::AluImm) return 0;
    const Sequence s{program_, analysis_, at, program_.subprograms[function_].end};
    if (const auto e = match_extension(s)) {
        begin(at + e->count - 1);
        lower_extension(*e);
        return e->count;
    }
    if (const auto r = match_rotation(s)) {
        begin(at + r->count - 1);
        lower_rotation(*r);
        return r->count;
    }
    return lower_bit_test(s);
}

// Starts with the instruction at `at`, or with a sequence that ends with it.
void Compiler::begin(u32 at) {
    at_ = at;
    values_.set_live(analysis_.live_after[at]);
}

Result<u32> Compiler::lower(u32 at) {
    if (!options_.blind_constants) {
        if (const u32 count = lower_sequence(at)) return count;
    }
    if (const u32 count = lower_pair(at)) return count;
    begin(at);
    const Insn& insn = program_.insns[at];
    const u32 target = program_.target[at];
    switch (insn.form) {
        case Form::AluReg:
            lower_alu_reg(insn);
            break;
        case Form::AluImm:
            lower_alu_imm(insn);
            break;
        case Form::Neg:
            lower_negation(insn);
            break;
        case Form::MovSx:
            values_.note_low_bits(insn.dst, insn.src, insn.from_bits, true, insn.width);
            break;
        case Form::Endian:
            lower_endian(insn);
            break;
        case Form::Load:
        case Form::LoadSx:
            lower_load(insn);
            break;
        case Form::StoreReg:
        case Form::StoreImm:
            lower_store(insn);
            break;
        case Form::Atomic:
            lower_atomic(insn);
            break;
        case Form::JmpReg:
        case Form::JmpImm:
        case Form::MayGoto:
        case Form::Ja:
            lower_jump(insn, target);
            break;
        case Form::Call:
            TRY(lower_call(insn, target));
            break;
        case Form::CallReg:
            TRY(lower_call_reg(insn));
            break;
        case Form::Exit:
            lower_exit();
            break;
        case Form::Wide:
            TRY(lower_wide(insn, target));
            break;
        case Form::LegacyLoad:
            return unsupported("legacy packet load");
    }
    return 1;
}

Status Compiler::lower_wide(const Insn& insn, u32 target) {
    TRY_ASSIGN(const auto address, address_of(insn, target));
    if (address) {
        a_.literal(values_.define(insn.dst), *address);
    } else {
        set_constant(insn.dst, static_cast<u64>(insn.imm));
    }
    return {};
}

}  // namespace ebpf::jit::a64
