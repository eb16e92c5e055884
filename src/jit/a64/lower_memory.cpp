// SPDX-License-Identifier: MIT
// Loads, stores and atomic operations.
#include "jit/a64/compiler.hpp"

namespace ebpf::jit::a64 {

using isa::AtomicOp;
using isa::Form;
using isa::Insn;
using Shape = Value::Shape;

// Where an access of width `w` goes to, as far as its form can say.
Compiler::Place Compiler::place_of(Reg base, i64 off, Width w) {
    const Value v = values_.of(base);
    if (v.shape == Shape::Sum && !v.has_index && v.disp + off == static_cast<i32>(v.disp + off))
        return {v.base, v.disp + off, {}};
    if (v.shape == Shape::Sum && v.has_index && off == 0 && Assembler::is_index(v.index, w))
        return {v.base, 0, v.index};
    return {values_.plain(base, Width::W64), off, {}};
}

void Compiler::access(Access kind, Width w, Gpr t, const Place& place) {
    if (place.index) return a_.access_indexed(kind, w, t, place.base, *place.index);
    a_.access(kind, w, t, place.base, place.off, kTemp);
}

void Compiler::lower_load(const Insn& insn) {
    const Place place = place_of(insn.src, insn.off, insn.width);
    const bool sign = insn.form == Form::LoadSx;
    const u8 bits = sign ? u8{64} : static_cast<u8>(isa::bits(insn.width));
    access(sign ? Access::LoadSigned : Access::Load, insn.width, values_.define(insn.dst, bits),
           place);
}

void Compiler::lower_store(const Insn& insn) {
    Gpr value = kTemp3;
    if (insn.form == Form::StoreReg) {
        value = values_.stored(insn.src, insn.width);
    } else if (insn.imm == 0) {
        value = kZero;
    }
    const Place place = place_of(insn.dst, insn.off, insn.width);
    if (value == kTemp3) put_constant(kTemp3, static_cast<u64>(insn.imm));
    access(Access::Store, insn.width, value, place);
}

void Compiler::lower_atomic(const Insn& insn) {
    const Width w = insn.width;
    const Gpr src = values_.plain(insn.src, w);
    Place place = place_of(insn.dst, insn.off, w);
    if (place.index) place = {values_.plain(insn.dst, Width::W64), insn.off, {}};
    Gpr address = place.base;
    if (place.off != 0 || address == kSp) {
        values_.add_imm(Width::W64, kTemp4, address, place.off);
        address = kTemp4;
    }
    const bool compares = insn.atomic() == AtomicOp::CmpXchg;
    const Gpr expected = compares ? values_.plain(0, w) : kZero;
    const Label again = a_.new_label(), out = a_.new_label();
    const Gpr old = kTemp2;
    Gpr value = kTemp3;
    a_.bind(again);
    a_.load_exclusive(w, old, address);
    switch (insn.atomic()) {
        case AtomicOp::Add:
        case AtomicOp::FetchAdd:
            a_.rrr(op::kAdd, w, value, old, src);
            break;
        case AtomicOp::Or:
        case AtomicOp::FetchOr:
            a_.rrr(op::kOrr, w, value, old, src);
            break;
        case AtomicOp::And:
        case AtomicOp::FetchAnd:
            a_.rrr(op::kAnd, w, value, old, src);
            break;
        case AtomicOp::Xor:
        case AtomicOp::FetchXor:
            a_.rrr(op::kEor, w, value, old, src);
            break;
        case AtomicOp::Xchg:
            value = src;
            break;
        case AtomicOp::CmpXchg:
            a_.rrr(op::kSubs, w, kZero, old, expected);
            a_.jump(Cc::Ne, out);
            value = src;
            break;
    }
    a_.store_exclusive(w, kTemp, value, address);
    a_.jump_if_zero(Width::W32, false, kTemp, again);
    a_.bind(out);
    a_.put(op::kDmbIsh);
    const u8 bits = static_cast<u8>(isa::bits(w));
    if (compares) {
        a_.mov(w, values_.define(0, bits), old);
    } else if (insn.atomic() >= AtomicOp::FetchAdd) {
        a_.mov(w, values_.define(insn.src, bits), old);
    }
}

}  // namespace ebpf::jit::a64
