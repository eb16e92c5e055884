// SPDX-License-Identifier: MIT
#include "jit/a64/values.hpp"

#include <algorithm>
#include <bit>

namespace ebpf::jit::a64 {

namespace {
constexpr i64 kMaxImm12 = 0xFFF;
constexpr u32 kMaxExtendShift = 4;
}  // namespace

void Values::add_imm(Width w, Gpr d, Gpr n, i64 value) {
    const bool negative = value < 0;
    const u64 size = negative ? 0 - static_cast<u64>(value) : static_cast<u64>(value);
    const u32 base = negative ? op::kSubImm : op::kAddImm;
    if (size <= kMaxImm12) return a_.rri12(base, w, d, n, static_cast<u32>(size));
    if (size >> 12 <= kMaxImm12) {
        a_.rri12(base, w, d, n, static_cast<u32>(size >> 12), true);
        if ((size & kMaxImm12) != 0) a_.rri12(base, w, d, d, static_cast<u32>(size & kMaxImm12));
        return;
    }
    a_.mov_imm(kTemp, static_cast<u64>(value));
    a_.rrr(op::kAdd, w, d, n, kTemp);
}

void Values::emit(Gpr d, const Value& v) {
    const u32 width = static_cast<u32>(isa::bits(v.width));
    switch (v.shape) {
        case Shape::Written:
            return;
        case Shape::Copy:
            return a_.mov(Width::W64, d, v.base);
        case Shape::Shifted: {
            const u32 n = v.index.amount;
            if (v.index.kind == Operand::Ror) return a_.ror(v.width, d, v.base, n);
            if (v.index.kind == Operand::Lsl)
                return a_.bitfield(op::kUbfm, v.width, d, v.base, width - n, width - 1 - n);
            return a_.bitfield(v.index.kind == Operand::Lsr ? op::kUbfm : op::kSbfm, v.width, d,
                               v.base, n, width - 1);
        }
        case Shape::Field: {
            if (!v.sign && v.from == 32 && v.index.amount == 0)
                return a_.mov(Width::W32, d, v.base);
            const u32 turn = v.index.amount != 0 ? width - v.index.amount : 0;
            const u32 last = std::min<u32>(v.from, width - v.index.amount) - 1;
            return a_.bitfield(v.sign ? op::kSbfm : op::kUbfm, v.width, d, v.base, turn, last);
        }
        case Shape::Sum:
            if (!v.has_index) return add_imm(Width::W64, d, v.base, v.disp);
            return a_.rro(op::kAdd, Width::W64, d, v.base, v.index);
        case Shape::Product:
            return a_.rrrr(op::kMadd, v.width, d, v.base, v.index.reg, kZero);
    }
}

Value Values::of(Reg r) const {
    if (r == isa::kFramePointer) return {.shape = Shape::Sum, .base = kSp, .disp = frame_};
    return values_[r];
}

u8 Values::bits_of(Gpr base) const {
    const auto owner = std::ranges::find(kReg, base);
    return owner == kReg.end() || base == kSp ? u8{64}
                                              : bits_[static_cast<u32>(owner - kReg.begin())];
}

u8 Values::bits_of(const Value& v) const {
    const u8 width = static_cast<u8>(isa::bits(v.width));
    switch (v.shape) {
        case Shape::Copy:
            return bits_of(v.base);
        case Shape::Shifted:
            if (v.index.kind == Operand::Lsr && bits_of(v.base) <= width)
                return bits_of(v.base) > v.index.amount
                           ? static_cast<u8>(bits_of(v.base) - v.index.amount)
                           : u8{1};
            return width;
        case Shape::Field:
            return v.sign ? width
                          : static_cast<u8>(std::min<u32>(width, u32{v.from} + v.index.amount));
        case Shape::Product:
            return width;
        default:
            return 64;
    }
}

u8 Values::bits(Reg r) const {
    const Value v = of(r);
    return v.shape == Shape::Written ? bits_[r] : bits_of(v);
}

// Before machine register `r` is written: what depends on it, but for what `but` is.
void Values::release(Gpr r, Reg but) {
    for (RegSet rest = noted_; rest != 0; rest &= static_cast<RegSet>(rest - 1)) {
        const Reg other = static_cast<Reg>(std::countr_zero(rest));
        if (other == but || !values_[other].depends_on(r)) continue;
        if (live_ & reg_set(other)) {
            write(other);
        } else {
            values_[other] = {};
            noted_ &= static_cast<RegSet>(~reg_set(other));
        }
    }
}

void Values::write(Reg r) {
    if ((noted_ & reg_set(r)) == 0) return;
    const Value v = values_[r];
    values_[r] = {};
    noted_ &= static_cast<RegSet>(~reg_set(r));
    release(kReg[r], r);
    bits_[r] = bits_of(v);
    emit(kReg[r], v);
}

void Values::settle(RegSet read) {
    const RegSet wanted = live_ |= read;
    for (RegSet rest = noted_ & wanted; rest != 0; rest = noted_ & wanted)
        write(static_cast<Reg>(std::countr_zero(rest)));
    live_ = 0;
    drop_dead();
    live_ = wanted;
}

void Values::drop_dead() {
    for (RegSet rest = static_cast<RegSet>(noted_ & ~live_); rest != 0;
         rest &= static_cast<RegSet>(rest - 1)) {
        values_[std::countr_zero(rest)] = {};
    }
    noted_ &= live_;
}

Gpr Values::define(Reg d, u8 bits) {
    values_[d] = {};
    noted_ &= static_cast<RegSet>(~reg_set(d));
    release(kReg[d], d);
    bits_[d] = bits;
    return kReg[d];
}

void Values::note(Reg d, const Value& value) {
    define(d, bits_[d]);  // it holds what it held
    values_[d] = value;
    noted_ |= reg_set(d);
}

Gpr Values::plain(Reg r, Width w) {
    if (r == isa::kFramePointer) {
        add_imm(Width::W64, kFrameTemp, kSp, frame_);
        return kFrameTemp;
    }
    const Value& v = values_[r];
    if (v.shape == Shape::Copy) return v.base;
    if (v.shape == Shape::Sum && v.base == kSp && !v.has_index) {
        for (const FrameAddress& a : frame_addresses_) {
            if (a.disp == v.disp) return a.reg;
        }
    }
    // Low bits are what they are before an extension.
    if (v.shape == Shape::Field && v.index.amount == 0 && v.from >= isa::bits(w)) return v.base;
    write(r);
    return kReg[r];
}

std::optional<Operand> Values::as_operand(const Value& v, Width w, Allowed allowed) {
    if (v.shape == Shape::Shifted && allowed.shift) {
        const bool rotates = v.index.kind == Operand::Ror;
        if (rotates && !allowed.rotate) return {};
        const bool low_half =
            v.index.kind == Operand::Lsl && w == Width::W32 && v.index.amount < 32;
        if (v.width == w || low_half) return Operand{v.base, v.index.kind, v.index.amount};
    }
    if (v.shape != Shape::Field) return {};
    if (v.from >= isa::bits(w) && allowed.shift && v.index.amount < isa::bits(w))
        return Operand{v.base, Operand::Lsl, v.index.amount};
    const bool whole = v.width == w || (!v.sign && v.from + v.index.amount <= isa::bits(v.width));
    if (allowed.extend && whole && v.index.amount <= kMaxExtendShift) {
        const u32 log2 = static_cast<u32>(std::countr_zero(v.from / 8u));
        return Operand{v.base, static_cast<Operand::Kind>(Operand::Uxtb + log2 + (v.sign ? 4 : 0)),
                       v.index.amount};
    }
    return {};
}

bool Values::has_operand(Reg r, Width w, Allowed allowed) const {
    return as_operand(of(r), w, allowed).has_value();
}

Operand Values::operand(Reg r, Width w, Allowed allowed) {
    if (const auto found = as_operand(of(r), w, allowed)) return *found;
    return {plain(r, w)};
}

Gpr Values::stored(Reg r, Width w) {
    const Value v = of(r);
    if (v.shape == Shape::Field && v.index.amount == 0 && v.from >= isa::bits(w)) return v.base;
    return plain(r, Width::W64);
}

void Values::hold(Reg d, Reg s, Gpr base) {
    if (d != s && (noted_ & live_ & reg_set(s)) != 0 && base == kReg[s]) write(s);
}

void Values::note_copy(Reg d, Reg s) {
    Value v = of(s);
    const bool of_frame = v.shape == Shape::Sum && !v.has_index && v.base == kSp;
    if (!of_frame && v.shape != Shape::Copy) {
        write(s);
        v = {.shape = Shape::Copy, .base = kReg[s]};
    }
    if (v.shape == Shape::Copy && v.base == kReg[d]) {  // it holds that
        values_[d] = {};
        noted_ &= static_cast<RegSet>(~reg_set(d));
        return;
    }
    note(d, v);
}

void Values::note_low_bits(Reg d, Reg s, u8 from, bool sign, Width width) {
    if (!sign && bits(s) <= from) return note_copy(d, s);
    const Gpr base = plain(s, Width::W32);
    if (s == isa::kFramePointer) {
        const Gpr to = define(d, sign ? u8{64} : from);
        return a_.bitfield(sign ? op::kSbfm : op::kUbfm, width, to, base, 0, from - 1u);
    }
    hold(d, s, base);
    note(d, {.shape = Shape::Field, .width = width, .base = base, .from = from, .sign = sign});
}

}  // namespace ebpf::jit::a64
