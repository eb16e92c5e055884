// SPDX-License-Identifier: MIT
#include "isa/codec.hpp"
#include "isa/table.hpp"

namespace ebpf::isa {
namespace {

std::unexpected<Error> illegal(const char* field, i64 value) {
    return fail(Errc::BadFormat, {}, field, static_cast<u64>(value));
}

// The 4 bits of a register field; a register that the row does not use must be zero in Insn too.
Result<u8> register_bits(const Encoding& row, Rule rule, Reg reg, const char* name) {
    const int limit = rule == Rule::Read ? kRegisterCount : rule == Rule::Write ? kFramePointer : 1;
    if (reg >= limit) return illegal(name, reg);
    if (rule == Rule::Fixed) return static_cast<u8>(row.selector_value);
    return reg;
}

template <typename T>
bool fits(i64 value) {
    return static_cast<T>(value) == value;
}

// Splits the operand over the slots' fields.
Status put_immediate(const Encoding& row, const Insn& insn, std::span<Slot, 2> out) {
    switch (row.imm) {
        case Rule::Any:
            if (!fits<i32>(insn.imm)) return illegal("imm", insn.imm);
            out[0].imm = static_cast<i32>(insn.imm);
            return {};
        case Rule::Unsigned:
            if (row.high == Rule::Zero && !fits<u32>(insn.imm)) return illegal("imm", insn.imm);
            out[0].imm = static_cast<i32>(static_cast<u32>(insn.imm));
            out[1].imm = static_cast<i32>(static_cast<u32>(static_cast<u64>(insn.imm) >> 32));
            return {};
        case Rule::Fixed:
        case Rule::Zero:
        case Rule::Read:
        case Rule::Write:
            if (insn.imm != 0) return illegal("imm", insn.imm);
            if (row.selector == Field::Imm) out[0].imm = row.selector_value;
            return {};
    }
    return {};
}

}  // namespace

Status encode(const Insn& insn, std::span<Slot, 2> out) {
    const Encoding* row = find_encoding(insn);
    if (row == nullptr) return illegal("operation", insn.kind);
    out[0] = {};
    out[1] = {};
    TRY_ASSIGN(const u8 dst, register_bits(*row, row->dst, insn.dst, "dst"));
    TRY_ASSIGN(const u8 src, register_bits(*row, row->src, insn.src, "src"));
    out[0].opcode = row->opcode;
    out[0].regs = static_cast<u8>(src << 4 | dst);
    if (row->form == Form::Ja && row->off == Rule::Any) {
        if (insn.off != 0) return illegal("off", insn.off);
        if (!fits<i16>(insn.imm)) return illegal("displacement", insn.imm);
        out[0].off = static_cast<i16>(insn.imm);
        return {};
    }
    if (row->off != Rule::Any && insn.off != 0) return illegal("off", insn.off);
    out[0].off = row->selector == Field::Off ? static_cast<i16>(row->selector_value) : insn.off;
    return put_immediate(*row, insn, out);
}

}  // namespace ebpf::isa
