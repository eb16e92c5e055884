// SPDX-License-Identifier: MIT
// Arithmetic. A 32-bit instruction of either machine clears the upper half.
#include <algorithm>
#include <bit>

#include "jit/a64/compiler.hpp"

namespace ebpf::jit::a64 {

using isa::AluOp;
using isa::Form;
using isa::Insn;
using Shape = Value::Shape;

namespace {

constexpr u8 bits_in(Width w) {
    return static_cast<u8>(isa::bits(w));
}
constexpr u32 imm_form(AluOp op) {
    return op == AluOp::And ? op::kAndImm : op == AluOp::Or ? op::kOrrImm : op::kEorImm;
}
constexpr u32 reg_form(AluOp op) {
    switch (op) {
        case AluOp::Add:
            return op::kAdd;
        case AluOp::Sub:
            return op::kSub;
        case AluOp::Or:
            return op::kOrr;
        case AluOp::And:
            return op::kAnd;
        case AluOp::Xor:
            return op::kEor;
        case AluOp::Lsh:
            return op::kLslv;
        case AluOp::Rsh:
            return op::kLsrv;
        case AluOp::Arsh:
            return op::kAsrv;
        case AluOp::Div:
        case AluOp::Mod:
            return op::kUdiv;
        default:
            return op::kSdiv;
    }
}
constexpr Values::Allowed kShifted{.shift = true, .rotate = false, .extend = false};
constexpr Values::Allowed kRotated{.shift = true, .rotate = true, .extend = false};
constexpr Values::Allowed kExtended{.shift = true, .rotate = false, .extend = true};

}  // namespace

void Compiler::lower_alu_reg(const Insn& insn) {
    const Width w = insn.width;
    switch (insn.alu()) {
        case AluOp::Mov:
            if (w == Width::W64) return values_.note_copy(insn.dst, insn.src);
            return values_.note_low_bits(insn.dst, insn.src, 32, false, Width::W64);
        case AluOp::Add:
        case AluOp::Sub:
            if (lower_multiply_add(insn)) return;
            return lower_operation(insn, kExtended);
        case AluOp::Or:
        case AluOp::And:
        case AluOp::Xor:
            return lower_operation(insn, kRotated);
        case AluOp::Mul:
            return lower_product(insn);
        default:
            return lower_alu_with(insn, values_.plain(insn.src, w));
    }
}

// dst += or -= a product that nobody else wants.
bool Compiler::lower_multiply_add(const Insn& insn) {
    const Width w = insn.width;
    Reg product = insn.src, other = insn.dst;
    const auto is_product = [&](Reg r) {
        const Value v = values_.of(r);
        return v.shape == Shape::Product && v.width == w;
    };
    if (insn.alu() == AluOp::Add && !is_product(product)) std::swap(product, other);
    const bool dead = product == insn.dst || (analysis_.live_after[at_] & reg_set(product)) == 0;
    if (insn.dst == insn.src || !is_product(product) || !dead) return false;
    const Gpr addend = values_.plain(other, w);
    const Value v = values_.of(product);
    const u32 base = insn.alu() == AluOp::Add ? op::kMadd : op::kMsub;
    a_.rrrr(base, w, values_.define(insn.dst, bits_in(w)), v.base, v.index.reg, addend);
    return true;
}

void Compiler::lower_operation(const Insn& insn, Values::Allowed allowed) {
    const Width w = insn.width;
    const AluOp alu = insn.alu();
    Reg first = insn.dst, last = insn.src;
    if (alu != AluOp::Sub && !values_.has_operand(last, w, allowed) &&
        values_.has_operand(first, w, allowed)) {
        std::swap(first, last);
    }
    const u8 a = values_.bits(insn.dst), b = values_.bits(insn.src);
    const u8 most = bits_in(w);
    const u8 bits = alu == AluOp::And                       ? std::min({a, b, most})
                    : alu == AluOp::Or || alu == AluOp::Xor ? std::min(std::max(a, b), most)
                                                            : most;
    const Gpr n = values_.plain(first, w);
    Operand m = values_.operand(last, w, allowed);
    const bool sum = alu == AluOp::Add && w == Width::W64 && insn.src != isa::kFramePointer &&
                     (m.kind == Operand::Lsl || m.extends());
    if (sum) {
        values_.hold(insn.dst, first, n);
        if (last != insn.dst && values_.is_noted(last) && m.reg == kReg[last] &&
            (analysis_.live_after[at_] & reg_set(last)) != 0) {
            values_.write(last);
            m = {kReg[last]};
        }
        return values_.note(insn.dst,
                            {.shape = Shape::Sum, .base = n, .index = m, .has_index = true});
    }
    a_.rro(reg_form(alu), w, values_.define(insn.dst, bits), n, m);
}

void Compiler::lower_product(const Insn& insn) {
    const Width w = insn.width;
    if (insn.src == isa::kFramePointer) return lower_alu_with(insn, values_.plain(insn.src, w));
    const Gpr n = values_.plain(insn.dst, w), m = values_.plain(insn.src, w);
    values_.hold(insn.dst, insn.src, m);
    values_.note(insn.dst, {.shape = Shape::Product, .width = w, .base = n, .index = {m}});
}

// The operation with what machine register `m` holds.
void Compiler::lower_alu_with(const Insn& insn, Gpr m) {
    const Width w = insn.width;
    const u8 most = bits_in(w);
    if (insn.alu() == AluOp::Mov) return a_.mov(w, values_.define(insn.dst, most), m);
    const Gpr n = values_.plain(insn.dst, w);
    const u8 old_bits = values_.bits(insn.dst);
    switch (insn.alu()) {
        case AluOp::Mul:
            return a_.rrrr(op::kMadd, w, values_.define(insn.dst, most), n, m, kZero);
        case AluOp::Mod:
        case AluOp::SMod:
            a_.rrr(reg_form(insn.alu()), w, kTemp2, n, m);
            return a_.rrrr(op::kMsub, w, values_.define(insn.dst, most), kTemp2, m, n);
        case AluOp::Rsh:
        case AluOp::Div:
            return a_.rrr(reg_form(insn.alu()), w,
                          values_.define(insn.dst, std::min(old_bits, most)), n, m);
        default:
            return a_.rrr(reg_form(insn.alu()), w, values_.define(insn.dst, most), n, m);
    }
}

void Compiler::lower_alu_imm(const Insn& insn) {
    const Reg dst = insn.dst;
    const Width w = insn.width;
    const AluOp alu = insn.alu();
    const i32 value = static_cast<i32>(insn.imm);
    const u64 bits = w == Width::W64 ? static_cast<u64>(i64{value}) : static_cast<u32>(value);
    const bool shift = alu == AluOp::Lsh || alu == AluOp::Rsh || alu == AluOp::Arsh;
    if (shift) return lower_shift_imm(alu, w, dst, static_cast<u32>(insn.imm));
    if (alu == AluOp::Mov) return set_constant(dst, bits);
    if (!options_.blind_constants && lower_imm_form(insn, bits)) return;
    lower_with_constant(insn, bits);
}

void Compiler::lower_with_constant(const Insn& insn, u64 bits) {
    const Width w = insn.width;
    const AluOp alu = insn.alu();
    const auto there = resident(bits);
    if (there && alu == AluOp::Mul) {
        const Gpr n = values_.plain(insn.dst, w);
        return values_.note(insn.dst,
                            {.shape = Shape::Product, .width = w, .base = n, .index = {*there}});
    }
    const bool logical = alu == AluOp::And || alu == AluOp::Or || alu == AluOp::Xor;
    const Gpr c = constant(bits);
    if (!logical) return lower_alu_with(insn, c);
    const Operand m = values_.operand(insn.dst, w, kRotated);
    const u8 most = alu == AluOp::And ? static_cast<u8>(std::bit_width(bits | 1)) : bits_in(w);
    a_.rro(reg_form(alu), w, values_.define(insn.dst, most), c, m);
}

// With what the machine has for that constant, if anything.
bool Compiler::lower_imm_form(const Insn& insn, u64 bits) {
    const Reg dst = insn.dst;
    const Width w = insn.width;
    const u8 most = bits_in(w);
    const u32 log2 = static_cast<u32>(std::countr_zero(bits));
    const bool power = std::has_single_bit(bits);
    const i32 value = static_cast<i32>(insn.imm);
    switch (insn.alu()) {
        case AluOp::Add:
            lower_add_imm(w, dst, value);
            return true;
        case AluOp::Sub:
            lower_add_imm(w, dst, -i64{value});
            return true;
        case AluOp::And:
            return lower_mask(w, dst, bits);
        case AluOp::Xor:
            if (bits == (w == Width::W64 ? ~u64{0} : ~u32{0})) {
                const Operand m = values_.operand(dst, w, kRotated);
                a_.rro(op::kOrn, w, values_.define(dst, most), kZero, m);
                return true;
            }
            [[fallthrough]];
        case AluOp::Or:
            if (const auto fields = bit_mask(bits, w)) {
                const Gpr n = values_.plain(dst, w);
                const u8 wide = static_cast<u8>(std::bit_width(bits));
                const u8 result = std::min(std::max(values_.bits(dst), wide), most);
                a_.mask(imm_form(insn.alu()), w, values_.define(dst, result), n, *fields);
                return true;
            }
            return false;
        case AluOp::Mul:
            if (power) {
                lower_shift_imm(AluOp::Lsh, w, dst, log2);
                return true;
            }
            if (value > 1 && std::has_single_bit(bits - 1)) {
                const Gpr n = values_.plain(dst, w);
                const Operand m{n, Operand::Lsl, static_cast<u8>(std::countr_zero(bits - 1))};
                a_.rro(op::kAdd, w, values_.define(dst, most), n, m);
                return true;
            }
            return false;
        case AluOp::Div:
            if (power) lower_shift_imm(AluOp::Rsh, w, dst, log2);
            return power;
        case AluOp::Mod:
            if (bits == 1) set_constant(dst, 0);
            return bits == 1 || (power && lower_mask(w, dst, bits - 1));
        default:
            return false;
    }
}

void Compiler::lower_add_imm(Width w, Reg dst, i64 value) {
    if (w == Width::W32) {
        const Gpr n = values_.plain(dst, w);
        return values_.add_imm(w, values_.define(dst, 32), n, static_cast<i32>(value));
    }
    Value v = values_.of(dst);
    if (v.shape != Shape::Sum || v.has_index)
        v = {.shape = Shape::Sum, .base = values_.plain(dst, w)};
    v.disp += value;
    values_.note(dst, v);
}

bool Compiler::lower_mask(Width w, Reg dst, u64 mask) {
    const bool low = std::has_single_bit(mask + 1);
    const u32 count = static_cast<u32>(std::bit_width(mask));
    if (low && mask != 0 && count <= 32) {
        const Value v = values_.of(dst);
        if (values_.bits(dst) <= count) return true;
        if (v.shape == Shape::Shifted && v.index.kind == Operand::Lsr) {
            const u32 last = std::min<u32>(v.index.amount + count, bits_in(v.width)) - 1;
            a_.bitfield(op::kUbfm, v.width, values_.define(dst, static_cast<u8>(count)), v.base,
                        v.index.amount, last);
            return true;
        }
        if (count == 8 || count == 16 || count == 32) {
            values_.note_low_bits(dst, dst, static_cast<u8>(count), false, Width::W64);
            return true;
        }
    }
    const auto fields = bit_mask(mask, w);
    if (!fields) return false;
    const Gpr n = values_.plain(dst, w);
    const u8 bits = std::min(values_.bits(dst), static_cast<u8>(count));
    a_.mask(op::kAndImm, w, values_.define(dst, bits), n, *fields);
    return true;
}

void Compiler::lower_shift_imm(AluOp op, Width w, Reg dst, u32 count) {
    const u32 bits = bits_in(w);
    const u32 n = count & (bits - 1);
    if (n == 0) {
        if (w == Width::W32) values_.note_low_bits(dst, dst, 32, false, Width::W64);
        return;
    }
    Value v = values_.of(dst);
    if (v.shape == Shape::Field && v.index.amount == 0 && v.width == w) {
        if (op == AluOp::Lsh) {
            v.index.amount = static_cast<u8>(n);
            return values_.note(dst, v);
        }
        if (!v.sign && n < v.from && v.from < bits) {  // then it is not negative either
            const u8 left = static_cast<u8>(v.from - n);
            return a_.bitfield(op::kUbfm, w, values_.define(dst, left), v.base, n, v.from - 1u);
        }
    }
    if (v.shape == Shape::Shifted && v.index.kind == Operand::Lsl && v.width == w &&
        op != AluOp::Lsh && n >= v.index.amount) {  // bits from the middle
        const bool sign = op == AluOp::Arsh;
        const Gpr d = values_.define(dst, static_cast<u8>(sign ? bits : bits - n));
        return a_.bitfield(sign ? a64::op::kSbfm : a64::op::kUbfm, w, d, v.base, n - v.index.amount,
                           bits - 1 - v.index.amount);
    }
    const Operand::Kind kind = op == AluOp::Lsh   ? Operand::Lsl
                               : op == AluOp::Rsh ? Operand::Lsr
                                                  : Operand::Asr;
    const Gpr base = values_.plain(dst, w);
    values_.note(dst, {.shape = Shape::Shifted,
                       .width = w,
                       .base = base,
                       .index = {base, kind, static_cast<u8>(n)}});
}

void Compiler::lower_extension(const Extension& e) {
    const u8 from = bits_in(e.from);
    if (e.right == 0 && e.left == 0) return values_.note_low_bits(e.dst, e.src, from, e.sign, e.to);
    const Gpr n = values_.plain(e.src, Width::W32);
    if (e.right == 0 && e.src != isa::kFramePointer) {
        values_.hold(e.dst, e.src, n);
        return values_.note(e.dst, {.shape = Shape::Field,
                                    .width = e.to,
                                    .base = n,
                                    .index = {0, Operand::Lsl, e.left},
                                    .from = from,
                                    .sign = e.sign});
    }
    const u32 bits = bits_in(e.to);
    const u32 turn = e.left != 0 ? bits - e.left : e.right;
    const Gpr d = values_.define(
        e.dst, e.sign ? static_cast<u8>(bits)
                      : static_cast<u8>(std::min(from + e.left, static_cast<int>(bits))));
    a_.bitfield(e.sign ? op::kSbfm : op::kUbfm, e.to, d, n, turn, from - 1u);
}

void Compiler::lower_rotation(const Rotation& r) {
    const u32 bits = bits_in(r.width);
    const Gpr n = values_.plain(r.src, r.width);
    if (r.src == isa::kFramePointer)
        return a_.ror(r.width, values_.define(r.dst, bits_in(r.width)), n, bits - r.left);
    values_.hold(r.dst, r.src, n);
    values_.note(r.dst, {.shape = Shape::Shifted,
                         .width = r.width,
                         .base = n,
                         .index = {n, Operand::Ror, static_cast<u8>(bits - r.left)}});
}

void Compiler::lower_negation(const Insn& insn) {
    const Operand m = values_.operand(insn.dst, insn.width, kShifted);
    a_.rro(op::kSub, insn.width, values_.define(insn.dst, bits_in(insn.width)), kZero, m);
}

void Compiler::lower_endian(const Insn& insn) {
    const Reg dst = insn.dst;
    const bool swap = insn.endian() != isa::EndianOp::ToLe;
    if (!swap) {
        if (insn.width != Width::W64)
            values_.note_low_bits(dst, dst, bits_in(insn.width), false, Width::W64);
        return;
    }
    const bool clean = values_.bits(dst) <= 16;
    const Gpr n = values_.plain(dst, insn.width == Width::W64 ? Width::W64 : Width::W32);
    switch (insn.width) {
        case Width::W64:
            return a_.rr(op::kRev64, values_.define(dst), n);
        case Width::W32:
            return a_.rr(op::kRev32, values_.define(dst, 32), n);
        default: {
            const Gpr d = values_.define(dst, 16);
            a_.rr(op::kRev16, d, n);
            if (!clean) a_.bitfield(op::kUbfm, Width::W32, d, d, 0, 15);
        }
    }
}

// --- constants -----------------------------------------------------------------------------------

void Compiler::set_constant(Reg dst, u64 value) {
    put_constant(values_.define(dst, static_cast<u8>(std::bit_width(value | 1))), value);
}

void Compiler::put_constant(Gpr d, u64 value) {
    if (!options_.blind_constants) return a_.mov_imm(d, value);
    const u64 key = next_key();
    a_.mov_imm(d, value ^ key);
    a_.mov_imm(kTemp2, key);
    a_.rrr(op::kEor, Width::W64, d, d, kTemp2);
}

}  // namespace ebpf::jit::a64
