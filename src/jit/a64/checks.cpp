// SPDX-License-Identifier: MIT
//
// Options::checked: code that nobody verified touches nothing but what code::Bounds allows, as
// x64/checks.cpp says of that machine.
//
//     x12 = the address; x9 = the bounds
//     x10 = x12 - window.begin; if x10 >= window.room[size] goto slow;  the access, at x12
//     slow:  if x12 is in this function's own frame go back
//            ask Bounds::access; go back, or end with Fault::BadAccess
//
// An access at a known place of the frame needs no check. A function's frame has, above its BPF
// stack, the record by which the bounds know of it.
#include <bit>
#include <cstddef>

#include "code/bounds.hpp"
#include "jit/a64/compiler.hpp"

namespace ebpf::jit::a64 {

using code::Bounds;
using code::Fault;
using code::Invocation;
using code::StackFrame;

static_assert(sizeof(StackFrame) == kFrameRecord);

namespace {
constexpr u32 kStack = isa::kStackSize;
constexpr u32 kWord = 8;
// What a call of C code may change and the code around a check may hold, kTemp4 among them.
constexpr Gpr kKept[] = {0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, kFp, kLr};
}  // namespace

// Where an access of `size` bytes may go, once it was looked at.
Compiler::Place Compiler::check_access(const Place& place, u32 size, bool writes, bool atomic) {
    if (!options_.checked) return place;
    if (place.base == kSp && !place.index && place.off >= 0 && place.off <= i64{kStack - size} &&
        (!atomic || place.off % size == 0)) {
        return place;
    }
    if (place.index) {
        Operand index = *place.index;
        if (index.kind == Operand::Lsl && place.base == kSp) index.kind = Operand::Uxtx;
        a_.rro(op::kAdd, Width::W64, kTemp4, place.base, index);
    } else {
        values_.add_imm(Width::W64, kTemp4, place.base, place.off);
    }
    if (atomic && size > 1 && !PLANTED(CheckForgetsAlignment)) {
        a_.mask(op::kAndsImm, Width::W64, kZero, kTemp4, *bit_mask(size - 1, Width::W64));
        a_.jump(Cc::Ne, fault_exit(Fault::BadAccess));
    }
    const u32 looked_at = PLANTED(CheckOfHalfTheSize) && size > 1 ? size / 2 : size;
    const std::size_t room = offsetof(Bounds, window) + offsetof(code::Window, room) +
                             kWord * static_cast<u32>(std::countr_zero(looked_at));
    const SlowCheck slow{a_.new_label(), a_.new_label(), size, writes};
    load_field(Width::W64, kTemp, offsetof(Invocation, bounds));
    a_.access(Access::Load, Width::W64, kTemp2, kTemp,
              offsetof(Bounds, window) + offsetof(code::Window, begin), kTemp3);
    a_.access(Access::Load, Width::W64, kTemp, kTemp, static_cast<i64>(room), kTemp3);
    a_.rrr(op::kSub, Width::W64, kTemp2, kTemp4, kTemp2);
    a_.rrr(op::kSubs, Width::W64, kZero, kTemp2, kTemp);
    a_.jump(Cc::Hs, slow.label);
    a_.bind(slow.back);
    slow_checks_.push_back(slow);
    return {kTemp4, 0, {}};
}

void Compiler::slow_checks(u32 function) {
    for (const SlowCheck& slow : slow_checks_) {
        a_.bind(slow.label);
        if (analysis_.functions[function].uses_frame) {
            a_.rri12(op::kAddImm, Width::W64, kTemp2, kSp, 0);
            a_.rrr(op::kSub, Width::W64, kTemp2, kTemp4, kTemp2);
            a_.rri12(op::kSubsImm, Width::W64, kZero, kTemp2, kStack - slow.size);
            a_.jump(Cc::Ls, slow.back);
        }
        a_.mov_imm(kTemp2, slow.size | (slow.writes ? code::kWrites : 0));
        a_.call(own_label(kAskBounds));
        a_.jump_if_zero(Width::W32, false, kTemp2, slow.back);
        a_.jump(Cc::Always, fault_exit(Fault::BadAccess));
    }
    slow_checks_.clear();
}

// Of the address in kTemp4 and the access in kTemp2, whether it is allowed, in kTemp2. Keeps all
// else but kTemp, kTemp3, x8 and the flags.
void Compiler::ask_bounds() {
    a_.bind(own_label(kAskBounds));
    begin_frame();
    for (u32 i = 0; i < std::size(kKept); i += 2) push(kKept[i], kKept[i + 1]);
    a_.mov(Width::W64, 2, kTemp2);
    a_.mov(Width::W64, 1, kTemp4);
    load_field(Width::W64, 0, offsetof(Invocation, bounds));
    a_.access(Access::Load, Width::W64, kTemp, 0, offsetof(Bounds, access), kTemp3);
    a_.rr(op::kBlr, 0, kTemp);
    a_.mask(op::kAndImm, Width::W32, kTemp2, 0, *bit_mask(1, Width::W32));
    note(FrameStep::Kind::Remember);
    for (u32 i = std::size(kKept); i > 0; i -= 2) pop(kKept[i - 2], kKept[i - 1]);
    leave();
    end_frame();
}

// Fills the frame with zeros and makes it known.
void Compiler::open_checked_frame(u32 function) {
    if (!analysis_.functions[function].uses_frame) return;
    constexpr u32 kRound = 32;
    a_.mov_imm(kTemp, kStack);
    const Label again = a_.new_label();
    a_.bind(again);
    a_.rri12(op::kSubImm, Width::W64, kTemp, kTemp, kRound);
    a_.rro(op::kAdd, Width::W64, kTemp2, kSp, {kTemp, Operand::Uxtx, 0});
    for (u32 at = 0; at < kRound && !PLANTED(CheckedFrameKeepsContent); at += 2 * kWord)
        a_.access_pair(false, Width::W64, kZero, kZero, kTemp2, at);
    a_.jump_if_zero(Width::W64, false, kTemp, again);

    const auto in_record = [&](Gpr t, std::size_t offset) {
        a_.access(Access::Store, Width::W64, t, kTemp4, static_cast<i64>(offset), kTemp3);
    };
    a_.rri12(op::kAddImm, Width::W64, kTemp4, kSp, kStack);
    a_.rri12(op::kAddImm, Width::W64, kTemp, kSp, 0);
    in_record(kTemp, offsetof(code::Range, begin));
    a_.mov_imm(kTemp, kStack);
    in_record(kTemp, offsetof(code::Range, size));
    a_.mov_imm(kTemp, 1);
    in_record(kTemp, offsetof(code::Range, writable));
    load_field(Width::W64, kTemp, offsetof(Invocation, bounds));
    a_.access(Access::Load, Width::W64, kTemp2, kTemp, offsetof(Bounds, frames), kTemp3);
    in_record(kTemp2, offsetof(StackFrame, outer));
    a_.access(Access::Store, Width::W64, kTemp4, kTemp, offsetof(Bounds, frames), kTemp3);
}

void Compiler::close_checked_frame(u32 function) {
    if (frame_record(function) == 0) return;
    load_field(Width::W64, kTemp, offsetof(Invocation, bounds));
    a_.access(Access::Load, Width::W64, kTemp2, kSp, kStack + offsetof(StackFrame, outer), kTemp3);
    a_.access(Access::Store, Width::W64, kTemp2, kTemp, offsetof(Bounds, frames), kTemp3);
}

void Compiler::clear_registers(RegSet which) {
    if (!options_.checked) return;
    for (isa::Reg r = 0; r < isa::kFramePointer; ++r) {
        if (which & reg_set(r)) a_.mov(Width::W64, kReg[r], kZero);
    }
}

// What is called at the helper's address, in kTemp: checked code goes by way of the bounds.
void Compiler::route_helper_call() {
    if (!options_.checked) return;
    load_field(Width::W64, kTemp2, offsetof(Invocation, bounds));
    a_.access(Access::Store, Width::W64, kTemp, kTemp2, offsetof(Bounds, callee), kTemp3);
    a_.access(Access::Load, Width::W64, kTemp, kTemp2, offsetof(Bounds, call), kTemp3);
}

}  // namespace ebpf::jit::a64
