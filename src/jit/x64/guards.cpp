// SPDX-License-Identifier: MIT
//
// What keeps code inside its limits at run time, and what the hardening options add: counting of
// frames and instructions, cancellation, calls by number, constants that an attacker cannot choose,
// indirect calls that he cannot train.
//
// Ending early: the reason goes to Invocation::fault, r0 to 0, and the frame leaves; its caller
// looks at the fault after the call and leaves too. The exits stand behind the function's code.
#include "jit/x64/compiler.hpp"

namespace ebpf::jit::x64 {

using code::Fault;
using code::Invocation;
using isa::AluOp;
using isa::Form;
using isa::Insn;

static_assert(offsetof(Invocation, fuel) == 16);
static_assert(offsetof(Invocation, fault) == 24);
static_assert(offsetof(Invocation, frames) == 32);
static_assert(offsetof(Invocation, cancel) == 40);

void Compiler::fault_exits(u32 function) {
    if (faults_ == 0) return;
    a_.code.reserve();
    for (u32 fault = 1; fault < kFaults; ++fault) {
        if ((faults_ >> fault & 1) == 0) continue;
        a_.code.bind(fault_label(function, fault));
        if (fault == static_cast<u32>(Fault::OutOfFuel)) {
            a_.store_imm(Width::W64, field(offsetof(Invocation, fuel)), 0);
        }
        a_.store_imm(Width::W64, field(offsetof(Invocation, fault)), static_cast<i32>(fault));
        a_.code.jump(Cc::Always, fault_label(function, 0));
    }
    a_.code.bind(fault_label(function, 0));
    a_.mov_imm(reg(0), 0);
    epilogue(function);
}

// After a call: whether the callee ended early.
void Compiler::check_fault() {
    if (!may_end_early_) return;
    a_.arith(Arith::Cmp, Width::W64, field(offsetof(Invocation, fault)), 0);
    a_.code.jump(Cc::NE, fault_exit(Fault::None));
}

void Compiler::count_frame() {
    const Mem frames = field(offsetof(Invocation, frames));
    a_.arith(Arith::Add, Width::W32, frames, 1);
    a_.arith(Arith::Cmp, Width::W32, frames, isa::kMaxCallDepth);
    a_.code.jump(Cc::A, fault_exit(Fault::CallTooDeep));
}

// A jump backwards goes to the start of a block, and so does a call.
void Compiler::check_block(u32 at) {
    if (options_.cancellable) {
        a_.load(Width::W64, kScratch, field(offsetof(Invocation, cancel)));
        a_.arith(Arith::Cmp, Width::W32, Mem{kScratch, 0}, 0);
        a_.code.jump(Cc::NE, fault_exit(Fault::Cancelled));
    }
    if (!options_.metered) return;
    a_.arith(Arith::Sub, Width::W64, field(offsetof(Invocation, fuel)),
             static_cast<i32>(block_length(at)));
    a_.code.jump(Cc::B, fault_exit(Fault::OutOfFuel));
}

// `to` = value, of which nothing stands in the code.
void Compiler::put_blinded(Gpr to, Width w, u64 value) {
    const u64 key = next_key();
    const bool wide = w == Width::W64 && static_cast<i64>(value) != static_cast<i32>(value);
    if (wide) {
        a_.mov_imm64(to, value ^ key);
        a_.mov_imm64(kScratch, key);
        return a_.arith(Arith::Xor, Width::W64, to, kScratch);
    }
    const i32 half = static_cast<i32>(key);
    const u64 other = static_cast<u64>(i64{static_cast<i32>(value)} ^ i64{half});
    a_.mov_imm(to, w == Width::W64 ? other : static_cast<u32>(other));
    a_.arith(Arith::Xor, w, to, half);
}

// The instructions with a constant as those with a register instead.
bool Compiler::lower_blinded(const Insn& insn, u32 target) {
    Insn with_register = insn;
    with_register.src = kBlinded;
    const u64 value = static_cast<u64>(insn.imm);
    switch (insn.form) {
        case Form::AluImm:
            if (insn.alu() == AluOp::Lsh || insn.alu() == AluOp::Rsh || insn.alu() == AluOp::Arsh)
                return false;
            if (insn.alu() == AluOp::Mov) {
                put_blinded(reg(insn.dst), insn.width, value);
                return true;
            }
            put_blinded(reg(kBlinded), insn.width, value);
            with_register.form = Form::AluReg;
            lower_alu_reg(with_register);
            return true;
        case Form::JmpImm:
            put_blinded(reg(kBlinded), insn.width, value);
            with_register.form = Form::JmpReg;
            lower_jump(with_register, target);
            return true;
        case Form::StoreImm:
            put_blinded(reg(kBlinded), Width::W64, value);
            with_register.form = Form::StoreReg;
            lower_access(with_register, memory(insn.dst, insn.off));
            return true;
        case Form::Wide:
            if (insn.wide() != isa::WideKind::Imm64) return false;
            put_blinded(reg(insn.dst), Width::W64, value);
            return true;
        default:
            return false;
    }
}

void Compiler::call_indirect(Gpr target) {
    if (!options_.safe_indirect_calls) return a_.call(target);
    // There is one thunk, for rax.
    if (target != Gpr::Rax) a_.mov(Width::W64, Gpr::Rax, target);
    a_.code.jump(Cc::Call, own_label(kRetpoline));
}

// Calls rax by a return whose prediction, the instruction after the first call, leads nowhere.
void Compiler::retpoline() {
    a_.code.reserve();
    a_.code.bind(own_label(kRetpoline));
    begin_frame();
    constexpr u32 kTrapBytes = 7;
    constexpr u32 kReturnAddress = 8;
    a_.code.put8(0xE8);
    a_.code.put32(kTrapBytes);
    note(FrameStep::Kind::Grow, {}, kReturnAddress);
    const u32 trap = a_.code.size();
    a_.pause();
    a_.lfence();
    a_.code.hop_back(Cc::Always, trap);
    a_.store(Width::W64, {Gpr::Rsp, 0}, Gpr::Rax);
    a_.ret();
    end_frame();
}

// A call by a number that is known at run time only.
void Compiler::indexed_call(Gpr number) {
    a_.arith(Arith::Cmp, Width::W64, number, static_cast<i32>(code::kRegisterHelpers));
    a_.code.jump(Cc::AE, fault_exit(Fault::BadHelper));
    a_.mov(Width::W32, kScratch, number);
    relocate(a_.mov_imm64(Gpr::Rax, 0), code::RelocKind::Function64, 0, own_label(kHelperTable));
    a_.load(Width::W64, Gpr::Rax, {Gpr::Rax, 0, kScratch, 3});
    a_.test(Width::W64, Gpr::Rax, Gpr::Rax);
    a_.code.jump(Cc::E, fault_exit(Fault::BadHelper));
    pass_arguments();
    if (options_.checked) return call_helper_checked();
    call_indirect(Gpr::Rax);
}

// Behind the code: read only, like it.
void Compiler::helper_table() {
    a_.code.reserve();
    a_.code.bind(own_label(kHelperTable));
    for (u32 i = 0; i < code::kRegisterHelpers; ++i) {
        a_.code.reserve();
        relocate(a_.code.here(), code::RelocKind::HelperOrNull64, code::kCustomHelper | i);
        a_.code.put64(0);
    }
}

}  // namespace ebpf::jit::x64
