// SPDX-License-Identifier: MIT
#include "base/byte_reader.hpp"
#include "isa/codec.hpp"
#include "isa/table.hpp"

namespace ebpf::isa {
namespace {

i32 field_value(const Slot& slot, Field field) {
    switch (field) {
        case Field::None:
            return 0;
        case Field::Src:
            return slot.regs >> 4;
        case Field::Off:
            return slot.off;
        case Field::Imm:
            return slot.imm;
    }
    return 0;
}

constexpr const char* kFieldNames[] = {"opcode", "src", "off", "imm"};

// The row of `slot`'s opcode whose selector matches, supported or not.
Result<const Encoding*> select(const Slot& slot, u32 pc) {
    Field selector = Field::None;
    for (const Encoding& row : candidates(slot.opcode)) {
        if (row.selector_value == field_value(slot, row.selector)) return &row;
        if (row.unsupported == nullptr) selector = row.selector;
    }
    if (selector == Field::None) return fail(Errc::BadOpcode, at_insn(pc), "opcode", slot.opcode);
    return fail(Errc::ReservedField, at_insn(pc), kFieldNames[static_cast<int>(selector)],
                static_cast<u64>(field_value(slot, selector)));
}

Status check_register(Rule rule, Reg reg, u32 pc, const char* name) {
    switch (rule) {
        case Rule::Zero:
            if (reg != 0) return fail(Errc::ReservedField, at_insn(pc), name, reg);
            return {};
        case Rule::Read:
            if (reg >= kRegisterCount) return fail(Errc::BadRegister, at_insn(pc), name, reg);
            return {};
        case Rule::Write:
            if (reg >= kFramePointer) return fail(Errc::BadRegister, at_insn(pc), name, reg);
            return {};
        case Rule::Fixed:
        case Rule::Any:
        case Rule::Unsigned:
            return {};
    }
    return {};
}

Status check_value(Rule rule, i32 value, u32 pc, const char* name) {
    if (rule == Rule::Zero && value != 0) {
        return fail(Errc::ReservedField, at_insn(pc), name, static_cast<u64>(i64{value}));
    }
    return {};
}

bool is_register(Rule rule) {
    return rule == Rule::Read || rule == Rule::Write;
}

Slot slot_at(Bytes slots, u32 pc) {
    Slot slot;
    std::memcpy(&slot, slots.data() + u64{pc} * sizeof slot, sizeof slot);
    return slot;
}

// The value of the two 32-bit halves, as the row's rules read them.
i64 immediate(const Encoding& row, i32 low, i32 high) {
    if (row.imm == Rule::Any) return low;
    if (row.imm != Rule::Unsigned) return 0;
    return static_cast<i64>(u64{static_cast<u32>(high)} << 32 | static_cast<u32>(low));
}

}  // namespace

Result<Insn> decode(Bytes slots, u32 pc) {
    const u64 count = slots.size() / sizeof(Slot);
    if (pc >= count) return fail(Errc::Truncated, at_insn(pc), "instruction");
    const Slot slot = slot_at(slots, pc);
    TRY_ASSIGN(const Encoding* row, select(slot, pc));
    if (row->unsupported != nullptr) return fail(Errc::Unsupported, at_insn(pc), row->unsupported);

    const Reg dst = slot.regs & 0xf;
    const Reg src = slot.regs >> 4;
    TRY(check_register(row->dst, dst, pc, "dst"));
    TRY(check_register(row->src, src, pc, "src"));
    TRY(check_value(row->off, slot.off, pc, "off"));
    TRY(check_value(row->imm, slot.imm, pc, "imm"));

    Slot second;
    if (row->form == Form::Wide) {
        if (count - pc < 2)
            return fail(Errc::Truncated, at_insn(pc), "second half of the instruction");
        second = slot_at(slots, pc + 1);
        TRY(check_value(Rule::Zero, second.opcode, pc + 1, "opcode of the second half"));
        TRY(check_value(Rule::Zero, second.regs, pc + 1, "registers of the second half"));
        TRY(check_value(Rule::Zero, second.off, pc + 1, "off of the second half"));
        TRY(check_value(row->high, second.imm, pc + 1, "imm of the second half"));
    }

    Insn insn;
    insn.form = row->form;
    insn.kind = row->kind;
    insn.width = row->width;
    insn.from_bits = row->from_bits;
    if (is_register(row->dst)) insn.dst = dst;
    if (is_register(row->src)) insn.src = src;
    if (row->form == Form::Ja && row->off == Rule::Any) {
        insn.imm = slot.off;
    } else {
        insn.off = row->off == Rule::Any ? slot.off : i16{0};
        insn.imm = immediate(*row, slot.imm, second.imm);
    }
    return insn;
}

}  // namespace ebpf::isa
