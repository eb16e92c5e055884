// SPDX-License-Identifier: MIT
// Loads, stores, address arithmetic and atomic operations. An atomic instruction of x86-64 is a
// full barrier, which is what RFC 9669's are.
#include "jit/x64/compiler.hpp"

namespace ebpf::jit::x64 {

using isa::AtomicOp;
using isa::Form;
using isa::Insn;

void Compiler::lower_access(const Insn& insn, Mem mem) {
    switch (insn.form) {
        case Form::Load:
            if (PLANTED(Load32SignExtends) && insn.width == Width::W32)
                return a_.load_signed(insn.width, reg(insn.dst), mem);
            return a_.load(insn.width, reg(insn.dst), mem);
        case Form::LoadSx:
            return a_.load_signed(insn.width, reg(insn.dst), mem);
        case Form::StoreReg:
            if (PLANTED(Store16Writes32) && insn.width == Width::W16)
                return a_.store(Width::W32, mem, reg(insn.src));
            return a_.store(insn.width, mem, reg(insn.src));
        default:
            return a_.store_imm(insn.width, mem, static_cast<i32>(insn.imm));
    }
}

void Compiler::lower_address(const Address& a) {
    Mem mem = memory(a.base, a.disp);
    if (a.index) {
        mem.index = reg(*a.index);
        mem.scale_log2 = PLANTED(AddressLosesScale) ? 0 : a.scale_log2;
    }
    if (a.use != nullptr) return lower_use(a, mem);
    if (a.access != nullptr) return lower_access(*a.access, mem);
    const Gpr dst = reg(a.dst);
    // Shorter than lea: a move, an addition in place.
    if (!a.index && a.disp == 0)
        return mem.base == dst ? void() : a_.mov(Width::W64, dst, mem.base);
    if (!a.index && mem.base == dst) return a_.arith(Arith::Add, Width::W64, dst, a.disp);
    a_.lea(Width::W64, dst, mem);
}

// An operation or a comparison with memory, in place of what was loaded from there.
void Compiler::lower_use(const Address& a, Mem mem) {
    const Insn& use = *a.use;
    if (use.form == Form::AluReg) {
        if (use.alu() == isa::AluOp::Mul) return a_.imul(use.width, reg(use.dst), mem);
        const Width w = PLANTED(MemoryOperandOfStaleWidth) ? Width::W64 : use.width;
        return a_.arith(arith_of(use.alu()), w, reg(use.dst), mem);
    }
    if (use.form == Form::JmpImm && a.access->width == Width::W8) {
        a_.compare_byte(mem,
                        static_cast<u8>(PLANTED(ByteComparedWithOneMore) ? use.imm + 1 : use.imm));
    } else if (use.form == Form::JmpImm) {
        a_.arith(Arith::Cmp, use.width, mem, static_cast<i32>(use.imm));
    } else if (use.dst == a.access->dst) {
        a_.arith_store(Arith::Cmp, use.width, mem, reg(use.src));
    } else {
        a_.arith(Arith::Cmp, use.width, reg(use.dst), mem);
    }
    take_branch();
}

void Compiler::lower_atomic(const Insn& insn) {
    const Mem mem = memory(insn.dst, insn.off);
    const Gpr src = reg(insn.src);
    switch (insn.atomic()) {
        case AtomicOp::Add:
            a_.lock();
            return a_.arith_store(Arith::Add, insn.width, mem, src);
        case AtomicOp::Or:
            a_.lock();
            return a_.arith_store(Arith::Or, insn.width, mem, src);
        case AtomicOp::And:
            a_.lock();
            return a_.arith_store(Arith::And, insn.width, mem, src);
        case AtomicOp::Xor:
            a_.lock();
            return a_.arith_store(Arith::Xor, insn.width, mem, src);
        case AtomicOp::FetchAdd:
            a_.lock();
            return a_.xadd(insn.width, mem, src);
        case AtomicOp::FetchOr:
        case AtomicOp::FetchAnd:
        case AtomicOp::FetchXor:
            return lower_fetch_loop(insn);
        case AtomicOp::Xchg:
            if (PLANTED(XchgKeepsRegister)) return a_.store(insn.width, mem, src);
            return a_.xchg(insn.width, mem, src);
        case AtomicOp::CmpXchg:
            a_.lock();
            a_.cmpxchg(insn.width, mem, src);
            // On success the machine leaves eax, and so rax's upper half, alone.
            if (insn.width == Width::W32 && !PLANTED(CmpXchg32KeepsUpperHalf))
                a_.mov(Width::W32, Gpr::Rax, Gpr::Rax);
            return;
    }
}

// The machine has no fetching or, and, xor: load, compute, compare and exchange until nobody was in
// between. rax holds the old value meanwhile, so r0 is put aside.
void Compiler::lower_fetch_loop(const Insn& insn) {
    const Width w = insn.width;
    const Gpr src = reg(insn.src);
    const bool restore = src != Gpr::Rax && live_after(Gpr::Rax);
    Mem mem = memory(insn.dst, insn.off);
    if (restore || src == Gpr::Rax || mem.base == Gpr::Rax) a_.mov(Width::W64, kScratch, Gpr::Rax);
    const Gpr operand = src == Gpr::Rax ? kScratch : src;
    if (mem.base == Gpr::Rax) mem.base = kScratch;
    const AtomicOp op = insn.atomic();
    const Arith arith = op == AtomicOp::FetchOr    ? Arith::Or
                        : op == AtomicOp::FetchAnd ? Arith::And
                                                   : Arith::Xor;

    a_.load(w, Gpr::Rax, mem);
    const u32 again = a_.code.size();
    a_.mov(w, kScratch2, Gpr::Rax);
    a_.arith(arith, w, kScratch2, operand);
    a_.lock();
    a_.cmpxchg(w, mem, kScratch2);
    a_.code.hop_back(Cc::NE, again);
    if (src != Gpr::Rax) a_.mov(w, src, PLANTED(FetchReturnsNewValue) ? kScratch2 : Gpr::Rax);
    if (restore) a_.mov(Width::W64, Gpr::Rax, kScratch);
}

}  // namespace ebpf::jit::x64
