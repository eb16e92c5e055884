// SPDX-License-Identifier: MIT
// Arithmetic without division. A 32-bit instruction of x86-64 clears the upper half as BPF's do, so
// nothing is ever truncated afterwards.
#include <bit>

#include "jit/x64/compiler.hpp"

namespace ebpf::jit::x64 {

using isa::AluOp;
using isa::Insn;

namespace {

constexpr Shift shift_of(AluOp op) {
    return op == AluOp::Lsh ? Shift::Shl : op == AluOp::Rsh ? Shift::Shr : Shift::Sar;
}

}  // namespace

void Compiler::lower_alu_reg(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const Gpr src = reg(insn.src);
    switch (insn.alu()) {
        case AluOp::Add:
        case AluOp::Sub:
        case AluOp::Or:
        case AluOp::And:
        case AluOp::Xor:
            a_.arith(arith_of(insn.alu()), PLANTED(Add32Is64) ? Width::W64 : insn.width, dst, src);
            flags_ = {a_.code.here(), insn.dst, insn.width};
            return;
        case AluOp::Mul:
            return a_.imul(insn.width, dst, src);
        case AluOp::Div:
        case AluOp::SDiv:
        case AluOp::Mod:
        case AluOp::SMod:
            return lower_division(insn);
        case AluOp::Lsh:
        case AluOp::Rsh:
        case AluOp::Arsh:
            return lower_shift_reg(insn);
        case AluOp::Mov:
            if (dst != src || !insn.is64()) a_.mov(insn.width, dst, src);
            return;
    }
}

void Compiler::lower_alu_imm(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const i32 value = static_cast<i32>(insn.imm);
    switch (insn.alu()) {
        case AluOp::Add:
        case AluOp::Sub:
        case AluOp::Or:
        case AluOp::And:
        case AluOp::Xor: {
            // A mask without the sign bit leaves nothing of the upper half.
            const bool narrow = insn.alu() == AluOp::And && value >= 0;
            const Width w = narrow ? Width::W32 : insn.width;
            a_.arith(arith_of(insn.alu()), w, dst, value);
            flags_ = {a_.code.here(), insn.dst, w};
            return;
        }
        case AluOp::Mul:
            return lower_mul_imm(insn.width, dst, value);
        case AluOp::Div:
        case AluOp::SDiv:
        case AluOp::Mod:
        case AluOp::SMod:
            return lower_division_imm(insn);
        case AluOp::Lsh:
        case AluOp::Rsh:
        case AluOp::Arsh:
            return lower_shift_imm(insn.alu(), insn.width, dst, insn.imm);
        case AluOp::Mov:
            return a_.mov_imm(dst, insn.is64() && !PLANTED(ConstantIsZeroExtended)
                                       ? static_cast<u64>(i64{value})
                                       : static_cast<u32>(value));
    }
}

void Compiler::lower_shift_reg(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const Gpr count = reg(insn.src);
    // Both machines use the count's low 5 or 6 bits.
    if (target_.bmi2) return a_.shift_reg(shift_of(insn.alu()), insn.width, dst, dst, count);
    a_.mov(Width::W32, kScratch2, count);
    a_.shift_cl(shift_of(insn.alu()), insn.width, dst);
}

void Compiler::lower_shift_imm(AluOp op, Width w, Gpr dst, i64 count) {
    if (PLANTED(ShiftCountIsOneMore)) ++count;
    const u8 masked =
        static_cast<u8>(count & (isa::bits(PLANTED(ShiftCountIsNotMasked) ? Width::W32 : w) - 1));
    if (masked != 0) {
        a_.shift(shift_of(op), w, dst, masked);
    } else if (w == Width::W32) {
        a_.mov(w, dst, dst);
    }
}

void Compiler::lower_mul_imm(Width w, Gpr dst, i32 value) {
    if (value > 0 && std::has_single_bit(static_cast<u32>(value))) {
        return lower_shift_imm(AluOp::Lsh, w, dst, std::countr_zero(static_cast<u32>(value)));
    }
    if (value == 0) return a_.mov_imm(dst, 0);
    if (value == 3 || value == 5 || value == 9) {
        if (PLANTED(MulBy5Is9) && value == 5) value = 9;
        const u8 scale_log2 = static_cast<u8>(std::countr_zero(static_cast<u32>(value - 1)));
        return a_.lea(w, dst, {dst, 0, dst, scale_log2});
    }
    // A multiplication takes three cycles; one more or less than a power of two, two.
    if (value > 6 && std::has_single_bit(static_cast<u32>(value) + 1)) {
        a_.mov(w, kScratch, dst);
        a_.shift(Shift::Shl, w, dst,
                 static_cast<u8>(std::countr_zero(static_cast<u32>(value) + 1)));
        return a_.arith(Arith::Sub, w, dst, kScratch);
    }
    if (value > 16 && std::has_single_bit(static_cast<u32>(value) - 1)) {
        a_.mov(w, kScratch, dst);
        a_.shift(Shift::Shl, w, dst,
                 static_cast<u8>(std::countr_zero(static_cast<u32>(value) - 1)));
        return a_.arith(Arith::Add, w, dst, kScratch);
    }
    a_.imul(w, dst, dst, value);
}

void Compiler::lower_movsx(const Insn& insn) {
    const Width to = PLANTED(MovSxTo32Is64) ? Width::W64 : insn.width;
    a_.extend(static_cast<Width>(insn.from_bits / 8), true, to, reg(insn.dst), reg(insn.src));
}

// The machine is little-endian: ToLe only truncates, ToBe and Swap are the same.
void Compiler::lower_endian(const Insn& insn) {
    const Gpr dst = reg(insn.dst);
    const bool swap = insn.endian() != isa::EndianOp::ToLe;
    if (insn.width == Width::W16) {
        if (swap) a_.rol16(dst, 8);
        if (PLANTED(Swap16KeepsUpperBits) && swap) return;
        return a_.extend(Width::W16, false, Width::W64, dst, dst);
    }
    if (swap) return a_.bswap(insn.width, dst);
    if (insn.width == Width::W32) a_.mov(Width::W32, dst, dst);
}

void Compiler::lower_extension(const Extension& e) {
    const Gpr dst = reg(e.dst);
    a_.extend(e.from, e.sign && !PLANTED(ExtensionLosesSign), e.to, dst, reg(e.src));
    if (e.left != 0) a_.shift(Shift::Shl, e.to, dst, e.left);
    if (e.right != 0) a_.shift(e.sign ? Shift::Sar : Shift::Shr, e.to, dst, e.right);
}

void Compiler::lower_rotation(const Rotation& r) {
    const Gpr dst = reg(r.dst);
    const Gpr src = reg(r.src);
    if (PLANTED(RotateTheOtherWay)) {
        if (dst != src) a_.mov(r.width, dst, src);
        return a_.shift(Shift::Ror, r.width, dst, r.left);
    }
    if (dst != src && target_.bmi2) {
        return a_.rorx(r.width, dst, src, static_cast<u8>(isa::bits(r.width) - r.left));
    }
    if (dst != src) a_.mov(r.width, dst, src);
    a_.shift(Shift::Rol, r.width, dst, r.left);
}

}  // namespace ebpf::jit::x64
