// SPDX-License-Identifier: MIT
//
// Division. The machine's instruction takes rdx:rax and traps where BPF has a result: by zero
// (quotient 0, remainder the dividend) and for the smallest number by -1 (quotient the dividend,
// remainder 0). By constants it is replaced by shifts or a multiplication (division.hpp).
#include "jit/division.hpp"

#include <bit>

#include "jit/x64/compiler.hpp"

namespace ebpf::jit::x64 {

using isa::AluOp;
using isa::Insn;

namespace {

constexpr bool is_modulo(AluOp op) {
    return op == AluOp::Mod || op == AluOp::SMod;
}
constexpr bool is_signed(AluOp op) {
    return op == AluOp::SDiv || op == AluOp::SMod;
}

}  // namespace

// Frees rax and rdx. `divisor` may be None; the dividend is kept beyond the first use on demand.
Compiler::PutAside Compiler::put_aside(Gpr dst, Gpr divisor, bool keep_dividend) {
    PutAside aside;
    const Gpr kept = keep_dividend ? dst : Gpr::None;
    aside.restore_rax = dst != Gpr::Rax && live_after(Gpr::Rax);
    aside.restore_rdx = dst != Gpr::Rdx && live_after(Gpr::Rdx);
    if (aside.restore_rax || kept == Gpr::Rax || divisor == Gpr::Rax) {
        a_.mov(Width::W64, kScratch, Gpr::Rax);
    }
    if (aside.restore_rdx || kept == Gpr::Rdx || divisor == Gpr::Rdx) {
        a_.mov(Width::W64, kScratch2, Gpr::Rdx);
    }
    const auto now = [](Gpr r) { return r == Gpr::Rax ? kScratch : r == Gpr::Rdx ? kScratch2 : r; };
    aside.dividend = now(dst);
    aside.divisor = now(divisor);
    return aside;
}

void Compiler::put_back(const PutAside& aside) {
    if (aside.restore_rax) a_.mov(Width::W64, Gpr::Rax, kScratch);
    if (aside.restore_rdx && !PLANTED(DivisionLosesR3)) a_.mov(Width::W64, Gpr::Rdx, kScratch2);
}

void Compiler::lower_division(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const Gpr src = reg(insn.src);
    const Width w = insn.width;
    const bool modulo = is_modulo(insn.alu());
    const bool nonzero = !facts_.insns.empty() && facts_.insns[at_].divisor_nonzero;

    // Every way out that leaves dst alone still has to clear its upper half.
    if (modulo && w == Width::W32 && !PLANTED(Mod32KeepsUpperHalf)) a_.mov(w, dst, dst);
    u32 done[2];
    u32 done_count = 0;
    if (!nonzero) {
        a_.test(w, src, src);
        if (modulo) {
            done[done_count++] = a_.code.hop(Cc::E);
        } else {
            const u32 ok = a_.code.hop(Cc::NE);
            if (!PLANTED(DivByZeroKeepsDividend)) a_.mov_imm(dst, 0);
            done[done_count++] = a_.code.hop(Cc::Always);
            a_.code.land(ok);
        }
    }
    if (is_signed(insn.alu())) {
        a_.arith(Arith::Cmp, w, src, -1);
        const u32 ok = a_.code.hop(Cc::NE);
        if (modulo) {
            a_.mov_imm(dst, 0);
        } else {
            if (!PLANTED(SignedDivByMinusOne)) a_.unary(op::kNeg, w, dst);
        }
        done[done_count++] = a_.code.hop(Cc::Always);
        a_.code.land(ok);
    }
    divide(insn);
    while (done_count > 0) a_.code.land(done[--done_count]);
}

// The machine's own division, for divisors that it takes.
void Compiler::divide(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const PutAside aside = put_aside(dst, reg(insn.src), false);
    if (dst != Gpr::Rax) a_.mov(insn.width, Gpr::Rax, dst);
    if (is_signed(insn.alu())) {
        a_.sign_extend_rax(insn.width);
        a_.unary(op::kIdiv, insn.width, aside.divisor);
    } else {
        a_.mov_imm(Gpr::Rdx, 0);
        a_.unary(op::kDiv, insn.width, aside.divisor);
    }
    const Gpr result = is_modulo(insn.alu()) ? Gpr::Rdx : Gpr::Rax;
    if (dst != result) a_.mov(insn.width, dst, result);
    put_back(aside);
}

void Compiler::lower_division_imm(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const Width w = insn.width;
    const bool modulo = is_modulo(insn.alu());
    const i32 value = static_cast<i32>(insn.imm);
    const bool minus_one = is_signed(insn.alu()) && value == -1;

    if (value == 0 || value == 1 || minus_one) {
        const bool keeps = (value == 0) == modulo;  // x % 0 and x / 1; negated for x / -1
        if (!keeps) return a_.mov_imm(dst, 0);
        if (minus_one) return a_.unary(op::kNeg, w, dst);
        if (w == Width::W32) a_.mov(w, dst, dst);
        return;
    }
    if (is_signed(insn.alu())) {
        return w == Width::W64 ? divide_signed_imm(insn) : divide_signed_imm32(insn);
    }
    const u64 divisor = w == Width::W64 ? static_cast<u64>(i64{value}) : static_cast<u32>(value);
    if (std::has_single_bit(divisor)) {
        // 2^31 as a 64-bit mask does not fit an immediate, but as a 32-bit one it does.
        if (modulo) return a_.arith(Arith::And, Width::W32, dst, static_cast<i32>(divisor - 1));
        return a_.shift(Shift::Shr, w, dst, static_cast<u8>(std::countr_zero(divisor)));
    }
    if (w == Width::W32) return divide_unsigned_imm32(insn, static_cast<u32>(divisor));
    divide_unsigned_imm(insn, divisor);
}

void Compiler::divide_unsigned_imm(const Insn& insn, u64 divisor) {
    const Gpr dst = reg(insn.dst);
    const UnsignedMagic magic = unsigned_magic(divisor, 64);
    const PutAside aside = put_aside(dst, Gpr::None, true);
    a_.mov_imm(Gpr::Rax, magic.multiplier);
    a_.unary(op::kMul, Width::W64, aside.dividend);
    Gpr quotient = Gpr::Rdx;
    if (magic.add) {
        a_.mov(Width::W64, Gpr::Rax, aside.dividend);
        a_.arith(Arith::Sub, Width::W64, Gpr::Rax, Gpr::Rdx);
        a_.shift(Shift::Shr, Width::W64, Gpr::Rax, 1);
        a_.arith(Arith::Add, Width::W64, Gpr::Rax, Gpr::Rdx);
        quotient = Gpr::Rax;
    }
    if (magic.shift != 0) {
        const u8 shift = PLANTED(MagicShift) ? magic.shift - 1 : magic.shift;
        a_.shift(Shift::Shr, Width::W64, quotient, shift);
    }
    if (is_modulo(insn.alu())) {
        a_.imul(Width::W64, quotient, quotient, static_cast<i32>(insn.imm));
        a_.arith(Arith::Sub, Width::W64, aside.dividend, quotient);
        quotient = aside.dividend;
    }
    if (dst != quotient) a_.mov(Width::W64, dst, quotient);
    put_back(aside);
}

// The product of two 32-bit numbers fits a register: the quotient is made in dst itself, or, where
// the remainder is wanted, in a scratch register.
void Compiler::divide_unsigned_imm32(const Insn& insn, u32 divisor) {
    const Gpr dst = reg(insn.dst);
    const UnsignedMagic magic = unsigned_magic(divisor, 32);
    if (magic.add) return divide_unsigned_imm33(insn, magic);
    const bool modulo = is_modulo(insn.alu());
    const Gpr quotient = modulo ? kScratch : dst;
    // Without the zeros at its end the multiplier may be an immediate.
    const int zeros = std::countr_zero(magic.multiplier);
    const u64 multiplier = magic.multiplier >> zeros;
    const int shift = 32 + magic.shift - zeros;
    a_.mov(Width::W32, modulo ? kScratch2 : dst, dst);
    if (multiplier <= 0x7fff'ffff) {
        a_.imul(Width::W64, quotient, modulo ? kScratch2 : dst, static_cast<i32>(multiplier));
    } else {
        a_.mov_imm(kScratch, multiplier);
        a_.imul(Width::W64, quotient, modulo ? kScratch2 : kScratch);
    }
    a_.shift(Shift::Shr, Width::W64, quotient, static_cast<u8>(shift));
    if (!modulo) return;
    a_.imul(Width::W32, kScratch, kScratch, static_cast<i32>(divisor));
    a_.arith(Arith::Sub, Width::W32, dst, kScratch);
}

// By a multiplier of 33 bits, whose top bit is added.
void Compiler::divide_unsigned_imm33(const Insn& insn, const UnsignedMagic& magic) {
    const Gpr dst = reg(insn.dst);
    a_.mov(Width::W32, kScratch2, dst);
    a_.mov_imm(kScratch, magic.multiplier);
    a_.imul(Width::W64, kScratch, kScratch2);
    a_.shift(Shift::Shr, Width::W64, kScratch, 32);
    a_.arith(Arith::Sub, Width::W32, kScratch2, kScratch);
    a_.shift(Shift::Shr, Width::W32, kScratch2, 1);
    a_.arith(Arith::Add, Width::W32, kScratch, kScratch2);
    if (magic.shift != 0) a_.shift(Shift::Shr, Width::W32, kScratch, magic.shift);
    if (!is_modulo(insn.alu())) return a_.mov(Width::W32, dst, kScratch);
    a_.imul(Width::W32, kScratch, kScratch, static_cast<i32>(insn.imm));
    a_.arith(Arith::Sub, Width::W32, dst, kScratch);
}

void Compiler::divide_signed_imm(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const i32 value = static_cast<i32>(insn.imm);
    const SignedMagic magic = signed_magic(static_cast<u64>(std::abs(i64{value})), 64);
    const PutAside aside = put_aside(dst, Gpr::None, true);
    // The multiplier is at least 2^63, so as a signed factor it is 2^64 too small.
    a_.mov_imm(Gpr::Rax, magic.multiplier);
    a_.unary(op::kImulWide, Width::W64, aside.dividend);
    a_.arith(Arith::Add, Width::W64, Gpr::Rdx, aside.dividend);
    if (magic.shift != 0) a_.shift(Shift::Sar, Width::W64, Gpr::Rdx, magic.shift);
    a_.mov(Width::W64, Gpr::Rax, aside.dividend);
    a_.shift(Shift::Shr, Width::W64, Gpr::Rax, 63);
    a_.arith(Arith::Add, Width::W64, Gpr::Rdx, Gpr::Rax);
    if (value < 0) a_.unary(op::kNeg, Width::W64, Gpr::Rdx);
    Gpr result = Gpr::Rdx;
    if (is_modulo(insn.alu())) {
        a_.imul(Width::W64, Gpr::Rdx, Gpr::Rdx, value);
        a_.arith(Arith::Sub, Width::W64, aside.dividend, Gpr::Rdx);
        result = aside.dividend;
    }
    if (dst != result) a_.mov(Width::W64, dst, result);
    put_back(aside);
}

void Compiler::divide_signed_imm32(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const i32 value = static_cast<i32>(insn.imm);
    const SignedMagic magic = signed_magic(static_cast<u64>(std::abs(i64{value})), 32);
    a_.extend(Width::W32, true, Width::W64, kScratch2, dst);
    a_.mov_imm(kScratch, magic.multiplier);
    a_.imul(Width::W64, kScratch, kScratch2);
    a_.shift(Shift::Sar, Width::W64, kScratch, static_cast<u8>(32 + magic.shift));
    a_.shift(Shift::Sar, Width::W64, kScratch2, 63);
    a_.arith(Arith::Sub, Width::W32, kScratch, kScratch2);
    if (value < 0 && !PLANTED(SignedMagicSign)) a_.unary(op::kNeg, Width::W32, kScratch);
    if (!is_modulo(insn.alu())) return a_.mov(Width::W32, dst, kScratch);
    a_.imul(Width::W32, kScratch, kScratch, value);
    a_.arith(Arith::Sub, Width::W32, dst, kScratch);
}

}  // namespace ebpf::jit::x64
