// SPDX-License-Identifier: MIT
// Loads, stores and atomic operations.
#include <algorithm>

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
    const Place place = check_access(place_of(insn.src, insn.off, insn.width),
                                     static_cast<u32>(isa::bytes(insn.width)), false);
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
    } else if (const auto there = resident(static_cast<u64>(insn.imm))) {
        value = *there;
    }
    const Place place = check_access(place_of(insn.dst, insn.off, insn.width),
                                     static_cast<u32>(isa::bytes(insn.width)), true);
    if (value == kTemp3) put_constant(kTemp3, static_cast<u64>(insn.imm));
    access(Access::Store, insn.width, value, place);
}

// Two loads or two stores of neighbours at once.
u32 Compiler::lower_pair(u32 at) {
    if (options_.checked) return 0;  // each access is checked by itself
    const Sequence s{program_, analysis_, at, program_.subprograms[function_].end};
    const Insn *a = s[0], *b = s[1];
    if (a == nullptr || b == nullptr || a->width != b->width) return 0;
    if (a->width != Width::W32 && a->width != Width::W64) return 0;
    const bool loads = a->form == Form::Load && b->form == Form::Load;
    const auto stores = [](const Insn& i) {
        return i.form == Form::StoreReg || (i.form == Form::StoreImm && i.imm == 0);
    };
    if (!loads && !(stores(*a) && stores(*b))) return 0;
    if (loads ? a->src != b->src || a->dst == a->src || a->dst == b->dst : a->dst != b->dst)
        return 0;
    const i32 size = isa::bytes(a->width);
    if (b->off - a->off != size && a->off - b->off != size) return 0;
    // Only where the form reaches: the base is a register or a known distance from one.
    constexpr i32 kReach = 64;  // accesses, on either side
    const Reg base = loads ? a->src : a->dst;
    const Value v = values_.of(base);
    const i64 off =
        std::min(a->off, b->off) + (v.shape == Shape::Sum && !v.has_index ? v.disp : i64{0});
    if (off % size != 0 || off / size < -kReach || off / size >= kReach) return 0;

    begin(at + 1);
    const auto place_at = [&](i64 least) {
        return v.has_index ? Place{values_.plain(base, Width::W64), least, {}}
                           : place_of(base, least, a->width);
    };
    const bool swapped = b->off < a->off;
    const Insn &low = swapped ? *b : *a, &high = swapped ? *a : *b;
    if (loads) {
        const Place place = place_at(low.off);
        const u8 bits = static_cast<u8>(isa::bits(a->width));
        const Gpr first = values_.define(low.dst, bits), second = values_.define(high.dst, bits);
        a_.access_pair(true, a->width, first, second, place.base, place.off);
        return 2;
    }
    const auto value = [&](const Insn& i) {
        return i.form == Form::StoreImm ? kZero : values_.stored(i.src, i.width);
    };
    const Gpr first = value(low), second = value(high);
    const Place place = place_at(low.off);
    a_.access_pair(false, a->width, first, second, place.base, place.off);
    return 2;
}

void Compiler::lower_atomic(const Insn& insn) {
    const Width w = insn.width;
    const Gpr src = values_.plain(insn.src, w);
    Place place = place_of(insn.dst, insn.off, w);
    if (place.index) place = {values_.plain(insn.dst, Width::W64), insn.off, {}};
    place = check_access(place, static_cast<u32>(isa::bytes(w)), true, true);
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
