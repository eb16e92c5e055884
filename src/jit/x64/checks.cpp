// SPDX-License-Identifier: MIT
//
// Options::checked: code that nobody verified touches nothing but what code::Bounds allows.
//
//     rcx = the bounds; r11 = the address
//     r11 -= window.begin; if r11 >= window.room[size] goto slow;  the access
//     slow:  r11 = the address; if it is in this function's own frame go back
//            ask Bounds::access; go back, or end with Fault::BadAccess
//
// The slow ways stand behind the function's code. An access through r10 itself that lies in the
// frame needs no check. As in the interpreter, frames begin with zeros and are known to the bounds
// as long as they last, registers begin with 0, r1 to r5 are 0 after calls, and helpers are called
// by way of Bounds::call, which looks at their arguments.
#include <bit>
#include <cstddef>

#include "code/bounds.hpp"
#include "jit/x64/compiler.hpp"

namespace ebpf::jit::x64 {

using code::Bounds;
using code::Fault;
using code::Invocation;
using code::StackFrame;
using isa::Form;
using isa::Insn;

static_assert(offsetof(Invocation, bounds) == 104);
static_assert(offsetof(Bounds, window) == 0 && offsetof(Bounds, frames) == 40 &&
              offsetof(Bounds, callee) == 48 && offsetof(Bounds, access) == 56 &&
              offsetof(Bounds, call) == 64);
static_assert(offsetof(StackFrame, memory) == 0 && offsetof(StackFrame, outer) == 24 &&
              sizeof(StackFrame) == kFrameRecord);

namespace {
constexpr i32 in_bounds(std::size_t offset) {
    return static_cast<i32>(offset);
}
constexpr i32 kStack = isa::kStackSize;
}  // namespace

// The access of an instruction, if it has one that must be looked at.
void Compiler::check_access(const Insn& insn) {
    const bool atomic = insn.form == Form::Atomic;
    const bool loads = insn.form == Form::Load || insn.form == Form::LoadSx;
    if (!loads && !atomic && insn.form != Form::StoreReg && insn.form != Form::StoreImm) return;
    const isa::Reg base = loads ? insn.src : insn.dst;
    const i32 size = isa::bytes(insn.width);
    const Mem mem = memory(base, insn.off);
    if (base == isa::kFramePointer && insn.off >= -kStack && insn.off <= -size &&
        (!atomic || insn.off % size == 0)) {
        return;
    }
    const SlowCheck slow{a_.code.new_label(), a_.code.new_label(), mem, size, !loads};
    a_.lea(Width::W64, kScratch, mem);
    if (atomic && !PLANTED(CheckForgetsAlignment)) {
        a_.test_imm(Width::W32, kScratch, size - 1);
        a_.code.jump(Cc::NE, fault_exit(Fault::BadAccess));
    }
    a_.load(Width::W64, kScratch2, field(offsetof(Invocation, bounds)));
    const i32 looked_at = PLANTED(CheckOfHalfTheSize) && size > 1 ? size / 2 : size;
    const std::size_t room =
        offsetof(code::Window, room) +
        sizeof(u64) * static_cast<u32>(std::countr_zero(static_cast<u32>(looked_at)));
    a_.arith(Arith::Sub, Width::W64, kScratch, Mem{kScratch2, offsetof(code::Window, begin)});
    a_.arith(Arith::Cmp, Width::W64, kScratch, Mem{kScratch2, in_bounds(room)});
    a_.code.jump(Cc::AE, slow.label);
    a_.code.reserve();
    a_.code.bind(slow.back);
    slow_checks_.push_back(slow);
}

void Compiler::slow_checks(u32 function) {
    for (const SlowCheck& slow : slow_checks_) {
        a_.code.reserve();
        a_.code.bind(slow.label);
        a_.lea(Width::W64, kScratch, slow.mem);
        if (analysis_.functions[function].uses_frame) {
            a_.mov(Width::W64, kScratch2, kScratch);
            a_.arith(Arith::Sub, Width::W64, kScratch2, reg(isa::kFramePointer));
            a_.arith(Arith::Add, Width::W64, kScratch2, kStack);
            a_.arith(Arith::Cmp, Width::W64, kScratch2, kStack - slow.size);
            a_.code.jump(Cc::BE, slow.back);
        }
        a_.mov_imm(kScratch2, static_cast<u32>(slow.size) | (slow.writes ? code::kWrites : 0));
        a_.code.jump(Cc::Call, own_label(kAskBounds));
        a_.test_imm(Width::W32, kScratch, 1);
        a_.code.jump(Cc::NE, slow.back);
        a_.code.jump(Cc::Always, fault_exit(Fault::BadAccess));
    }
    slow_checks_.clear();
}

// Of the address in r11 and the access in rcx, whether it is allowed, in r11. Keeps all else but
// the flags.
void Compiler::ask_bounds() {
    constexpr u32 kHome = 32;  // of Windows' convention
    a_.code.reserve();
    a_.code.bind(own_label(kAskBounds));
    begin_frame();
    for (isa::Reg r = 0; r <= 5; ++r) push(reg(r));
    push(reg(kBlinded));  // an odd number: the stack is aligned
    grow_stack(kHome);
    a_.mov(Width::W64, abi_.helper_arg[2], kScratch2);
    a_.mov(Width::W64, abi_.helper_arg[1], kScratch);
    a_.load(Width::W64, abi_.helper_arg[0], field(offsetof(Invocation, bounds)));
    a_.load(Width::W64, Gpr::Rax, {abi_.helper_arg[0], in_bounds(offsetof(Bounds, access))});
    call_indirect(Gpr::Rax);
    a_.mov(Width::W32, kScratch, Gpr::Rax);
    note(FrameStep::Kind::Remember);
    shrink_stack(kHome);
    pop(reg(kBlinded));
    for (isa::Reg r = 6; r-- > 0;) pop(reg(r));
    leave();
    end_frame();
}

// Fills the frame with zeros and makes it known.
void Compiler::open_checked_frame(u32 function) {
    if (!analysis_.functions[function].uses_frame) return;
    const i32 record = static_cast<i32>(abi_.outgoing), stack = record + i32{kFrameRecord};
    constexpr i32 kRound = 32;
    a_.mov_imm(kScratch2, static_cast<u64>(kStack));
    const u32 again = a_.code.size();
    for (i32 at = 0; at < kRound; at += 8)
        if (!PLANTED(CheckedFrameKeepsContent))
            a_.store_imm(Width::W64, {Gpr::Rsp, stack + at - kRound, kScratch2, 0}, 0);
    a_.arith(Arith::Sub, Width::W32, kScratch2, kRound);
    a_.code.hop_back(Cc::NE, again);

    const auto in_record = [&](std::size_t offset) {
        return Mem{Gpr::Rsp, record + static_cast<i32>(offset)};
    };
    a_.load(Width::W64, kScratch, field(offsetof(Invocation, bounds)));
    a_.lea(Width::W64, kScratch2, {Gpr::Rsp, stack});
    a_.store(Width::W64, in_record(offsetof(code::Range, begin)), kScratch2);
    a_.store_imm(Width::W64, in_record(offsetof(code::Range, size)), kStack);
    a_.store_imm(Width::W64, in_record(offsetof(code::Range, writable)), 1);
    a_.load(Width::W64, kScratch2, {kScratch, in_bounds(offsetof(Bounds, frames))});
    a_.store(Width::W64, in_record(offsetof(StackFrame, outer)), kScratch2);
    a_.lea(Width::W64, kScratch2, in_record(0));
    a_.store(Width::W64, {kScratch, in_bounds(offsetof(Bounds, frames))}, kScratch2);
}

void Compiler::close_checked_frame(u32 function) {
    if (!options_.checked || !analysis_.functions[function].uses_frame) return;
    const i32 record = static_cast<i32>(abi_.outgoing);
    a_.load(Width::W64, kScratch, field(offsetof(Invocation, bounds)));
    a_.load(Width::W64, kScratch2,
            {Gpr::Rsp, record + static_cast<i32>(offsetof(StackFrame, outer))});
    a_.store(Width::W64, {kScratch, in_bounds(offsetof(Bounds, frames))}, kScratch2);
}

void Compiler::clear_registers(RegSet which) {
    for (isa::Reg r = 0; r < isa::kFramePointer; ++r) {
        if (which & reg_set(r)) a_.mov_imm(reg(r), 0);
    }
}

// What a call leaves in r1 to r5.
void Compiler::forget_arguments() {
    if (options_.checked) clear_registers(isa::kCallArgs);
}

// Calls the helper at the address in rax; its arguments are in place.
void Compiler::call_helper_checked() {
    a_.load(Width::W64, kScratch, field(offsetof(Invocation, bounds)));
    a_.store(Width::W64, {kScratch, in_bounds(offsetof(Bounds, callee))}, Gpr::Rax);
    a_.load(Width::W64, Gpr::Rax, {kScratch, in_bounds(offsetof(Bounds, call))});
    call_indirect(Gpr::Rax);
}

}  // namespace ebpf::jit::x64
