// SPDX-License-Identifier: MIT
#include "btf/core.hpp"

namespace ebpf::btf {
namespace {

constexpr u64 kMaxOffset = 0x7fff;

template <typename T>
bool fits(u64 value) {
    return static_cast<u64>(static_cast<i64>(static_cast<T>(value))) == value;
}

std::unexpected<Error> unfit(const char* what, u64 arg) {
    return fail(Errc::BadFormat, {}, what, arg);
}

// An instruction that does not hold what the compiler must have written is not the one that the
// relocation is about.
std::unexpected<Error> unexpected_operand(i64 operand) {
    return unfit("CO-RE relocation of an instruction that holds another number",
                 static_cast<u64>(operand));
}

Status patch_immediate(isa::Insn& insn, const CoreAnswer& answer) {
    if (answer.local && static_cast<u32>(insn.imm) != static_cast<u32>(*answer.local))
        return unexpected_operand(insn.imm);
    // A 32-bit operation, or an unsigned answer, takes all values of 32 bits.
    if (!fits<i32>(answer.value) && !(fits<u32>(answer.value) && !insn.is64()))
        return unfit("CO-RE value does not fit the immediate", answer.value);
    insn.imm = static_cast<i32>(static_cast<u32>(answer.value));
    return {};
}

Result<bool> patch_access(isa::Insn& insn, CoreKind kind, const CoreAnswer& answer) {
    if (kind != CoreKind::FieldByteOffset || answer.value > kMaxOffset)
        return unfit("CO-RE value does not fit the offset", answer.value);
    if (answer.local && insn.off != static_cast<i64>(*answer.local))
        return unexpected_operand(insn.off);
    if (answer.size != answer.local_size) {
        if (!answer.may_resize || insn.form == isa::Form::LoadSx ||
            insn.form == isa::Form::Atomic) {
            return false;
        }
        const u64 width = static_cast<u64>(bytes(insn.width));
        if (width != answer.local_size)
            return unfit("CO-RE relocation of an access of another size", width);
        if (answer.size != 1 && answer.size != 2 && answer.size != 4 && answer.size != 8)
            return unfit("CO-RE size of an access", answer.size);
        insn.width = static_cast<isa::Width>(answer.size);
    }
    insn.off = static_cast<i16>(answer.value);
    return true;
}

}  // namespace

Result<bool> core_patch(isa::Insn& insn, CoreKind kind, const CoreAnswer& answer) {
    if (answer.missing) return false;
    switch (insn.form) {
        case isa::Form::AluImm:
            TRY(patch_immediate(insn, answer));
            return true;
        case isa::Form::Load:
        case isa::Form::LoadSx:
        case isa::Form::StoreReg:
        case isa::Form::StoreImm:
        case isa::Form::Atomic:
            return patch_access(insn, kind, answer);
        case isa::Form::Wide:
            if (insn.wide() != isa::WideKind::Imm64) break;
            if (answer.local && static_cast<u64>(insn.imm) != *answer.local)
                return unexpected_operand(insn.imm);
            insn.imm = static_cast<i64>(answer.value);
            return true;
        case isa::Form::AluReg:
        case isa::Form::Neg:
        case isa::Form::MovSx:
        case isa::Form::Endian:
        case isa::Form::JmpReg:
        case isa::Form::JmpImm:
        case isa::Form::MayGoto:
        case isa::Form::Ja:
        case isa::Form::Call:
        case isa::Form::CallReg:
        case isa::Form::Exit:
        case isa::Form::LegacyLoad:
            break;
    }
    return fail(Errc::BadFormat, {}, "CO-RE relocation of an instruction without such an operand");
}

}  // namespace ebpf::btf
