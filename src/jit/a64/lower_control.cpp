// SPDX-License-Identifier: MIT
// Jumps and calls.
#include <bit>

#include "jit/a64/compiler.hpp"

namespace ebpf::jit::a64 {

using code::Fault;
using code::Invocation;
using isa::CallKind;
using isa::Cond;
using isa::Form;
using isa::Insn;

namespace {

constexpr Cc condition_of(Cond cond) {
    constexpr Cc kCodes[] = {Cc::Eq, Cc::Ne, Cc::Hi, Cc::Hs, Cc::Lo, Cc::Ls,
                             Cc::Gt, Cc::Ge, Cc::Lt, Cc::Le, Cc::Ne};  // the last after a test
    return kCodes[static_cast<u32>(cond)];
}

constexpr u64 kMaxImm12 = 0xFFF;

}  // namespace

void Compiler::lower_may_goto(u32 target) {
    values_.settle();
    load_field(Width::W64, kTemp, offsetof(code::Invocation, may_goto));
    a_.jump_if_zero(Width::W64, true, kTemp, target);
    a_.rri12(op::kSubImm, Width::W64, kTemp, kTemp, 1);
    store_field(Width::W64, kTemp, offsetof(code::Invocation, may_goto));
}

void Compiler::lower_jump(const Insn& insn, u32 target) {
    if (insn.form == Form::MayGoto) return lower_may_goto(branch_at(at_).target);
    if (target == at_ + 1) return;
    const Branch branch = branch_at(at_);
    left_out_ = branch.leaves_out;
    if (insn.form == Form::Ja) {
        values_.settle();
        return a_.jump(Cc::Always, branch.target);
    }
    if (insn.form == Form::JmpReg) return compare(insn, branch);
    compare_imm(insn, branch);
}

// What is read behind a jump is written before it, and after the comparison, which may read what is
// noted.
void Compiler::jump(Cond cond, Label target) {
    values_.settle();  // leaves flags alone
    a_.jump(condition_of(cond), target);
}

void Compiler::compare(const Insn& insn, const Branch& branch) {
    const Width w = insn.width;
    const bool test = insn.cond() == Cond::Set;
    const Values::Allowed allowed{.shift = true, .rotate = test, .extend = !test};
    Reg first = insn.dst, last = insn.src;
    Cond cond = branch.cond;
    if (!values_.has_operand(last, w, allowed) && values_.has_operand(first, w, allowed)) {
        std::swap(first, last);
        cond = isa::mirrored(cond);
    }
    const Gpr n = values_.plain(first, w);
    const Operand m = values_.operand(last, w, allowed);
    a_.rro(test ? op::kAnds : op::kSubs, w, kZero, n, m);
    jump(cond, branch.target);
}

void Compiler::compare_imm(const Insn& insn, const Branch& branch) {
    const Width w = insn.width;
    const Cond cond = branch.cond;
    const i32 value = static_cast<i32>(insn.imm);
    const u64 bits = w == Width::W64 ? static_cast<u64>(i64{value}) : static_cast<u32>(value);
    const Gpr n = values_.plain(insn.dst, w);
    if (value == 0 && (cond == Cond::Eq || cond == Cond::Ne)) {
        values_.settle();  // of `n` it changes no bit that is looked at
        return a_.jump_if_zero(w, cond == Cond::Eq, n, branch.target);
    }
    if (value == 0 && (cond == Cond::SLt || cond == Cond::SGe) && tests_bits()) {
        values_.settle();
        return a_.jump_if_bit(static_cast<u32>(isa::bits(w)) - 1, cond == Cond::SLt, n,
                              branch.target);
    }
    if (!options_.blind_constants && compare_form(cond, w, n, bits))
        return jump(cond, branch.target);
    a_.rrr(cond == Cond::Set ? op::kAnds : op::kSubs, w, kZero, n, constant(bits));
    jump(cond, branch.target);
}

// A comparison with what the machine has for that constant, if anything.
bool Compiler::compare_form(Cond cond, Width w, Gpr n, u64 bits) {
    if (cond == Cond::Set) {
        const auto fields = bit_mask(bits, w);
        if (fields) a_.mask(op::kAndsImm, w, kZero, n, *fields);
        return fields.has_value();
    }
    const auto fields = compare_fields(w, bits);
    if (!fields) return false;
    a_.rri12(fields->negative ? op::kAddsImm : op::kSubsImm, w, kZero, n, fields->size,
             fields->high);
    return true;
}

std::optional<Compiler::CompareFields> Compiler::compare_fields(Width w, u64 bits) {
    const i64 value = w == Width::W64 ? static_cast<i64>(bits) : static_cast<i32>(bits);
    const u64 size = static_cast<u64>(value < 0 ? -value : value);
    const bool high = size > kMaxImm12 && (size & kMaxImm12) == 0 && size >> 12 <= kMaxImm12;
    if (size > kMaxImm12 && !high) return {};
    return CompareFields{value < 0, high, static_cast<u32>(high ? size >> 12 : size)};
}

// r &= one bit; if r == 0 or r != 0 goto; or one jump that tests the bit.
u32 Compiler::lower_bit_test(const Sequence& s) {
    const Insn *mask = s[0], *jump = s[1];
    if (!tests_bits() || mask == nullptr || jump == nullptr || mask->form != Form::AluImm ||
        mask->alu() != isa::AluOp::And || jump->form != Form::JmpImm || jump->imm != 0 ||
        jump->dst != mask->dst || !s.dead_after(1, mask->dst)) {
        return 0;
    }
    const u64 bits = mask->is64() ? static_cast<u64>(mask->imm) : static_cast<u32>(mask->imm);
    const bool whole = jump->width == Width::W64 || bits >> 32 == 0;
    if (!std::has_single_bit(bits) || !whole) return 0;
    if (jump->cond() != Cond::Eq && jump->cond() != Cond::Ne) return 0;
    if (program_.target[s.at + 1] == s.at + 2) return 0;
    begin(s.at + 1);
    const Gpr n = values_.plain(mask->dst, mask->width);
    const Branch branch = branch_at(at_);
    left_out_ = branch.leaves_out;
    values_.settle();
    a_.jump_if_bit(static_cast<u32>(std::countr_zero(bits)), branch.cond == Cond::Ne, n,
                   branch.target);
    return 2;
}

void Compiler::lower_exit() {
    if (!is_entry(function_)) {
        values_.settle(reg_set(0));
        return epilogue(function_, kReg[0]);
    }
    const Gpr result = values_.plain(0, Width::W64);
    values_.settle();
    epilogue(function_, result);
}

// Everything that is read by a call, or behind it, is in its register.
void Compiler::settle_for_call(const Insn& insn) {
    values_.settle(registers_of(insn).reads);
    values_.forget_bits();
}

Status Compiler::lower_call(const Insn& insn, u32 target) {
    settle_for_call(insn);
    switch (insn.call()) {
        case CallKind::Local:
            a_.call(function_label(function_at(target)));
            check_fault();
            clear_registers(isa::kCallArgs);
            return {};
        case CallKind::Helper:
            if (const auto found = direct_lookup(insn)) {
                std::visit([&](const auto& kind) { lower_lookup(kind); }, *found);
                return {};
            }
            helper_call(static_cast<u32>(insn.imm));
            check_fault();  // of a callback
            clear_registers(isa::kCallArgs);
            return {};
        case CallKind::Kfunc:
            return unsupported("call of a kernel function", static_cast<u64>(insn.imm));
    }
    return unsupported("kind of call", insn.kind);
}

// r0 = the key < entries ? values + key * stride : 0.
void Compiler::lower_lookup(const ArrayLookup& lookup) {
    const Gpr result = kReg[0];
    const auto to_slot = [&] {
        if (lookup.slot_stride == 0) return;
        load_field(Width::W32, kTemp, offsetof(Invocation, slot));
        a_.mov_imm(kTemp2, lookup.slot_stride);
        a_.rrrr(op::kMadd, Width::W64, result, kTemp, kTemp2, result);
    };
    const code::Relocation values{
        .kind = code::RelocKind::ArrayValues64, .index = lookup.map, .addend = lookup.entries};
    if (lookup.offset) {
        a_.literal(result, values);
        if (*lookup.offset != 0) values_.add_imm(Width::W64, result, result, *lookup.offset);
        to_slot();
        return;
    }
    const Label outside = a_.new_label();
    a_.access(Access::Load, Width::W32, kTemp, kReg[2], 0, kTemp3);
    a_.mov_imm(kTemp2, lookup.entries);
    a_.mov(Width::W64, result, kZero);
    a_.rrr(op::kSubs, Width::W32, kZero, kTemp, kTemp2);
    a_.jump(Cc::Hs, outside);
    a_.mov_imm(kTemp2, lookup.stride);
    a_.literal(kTemp3, values);
    a_.rrrr(op::kMadd, Width::W64, result, kTemp, kTemp2, kTemp3);
    to_slot();
    a_.bind(outside);
}

// r0 = the key < the number of slots ? the slot : 0. What the slot points to is read by way of that
// load, which orders it.
void Compiler::lower_lookup(const ObjectLookup& lookup) {
    const Gpr result = kReg[0];
    const Label outside = a_.new_label();
    a_.access(Access::Load, Width::W32, kTemp, kReg[2], 0, kTemp3);
    a_.literal(kTemp2, {.kind = code::RelocKind::ObjectSlots64, .index = lookup.map});
    a_.access(Access::Load, Width::W32, kTemp4, kTemp2, code::kSlotCount, kTemp3);
    a_.mov(Width::W64, result, kZero);
    a_.rrr(op::kSubs, Width::W32, kZero, kTemp, kTemp4);
    a_.jump(Cc::Hs, outside);
    a_.access_indexed(Access::Load, Width::W64, result, kTemp2, {kTemp, Operand::Lsl, 3});
    a_.bind(outside);
}

// r0 = its own function(the map, the key, the slot): r1 and r2 are where it takes them, r3 is the
// third place.
void Compiler::lower_lookup(const OwnLookup& lookup) {
    load_field(Width::W32, kReg[3], offsetof(Invocation, slot));
    a_.literal(kTemp, {.kind = code::RelocKind::Lookup64, .index = lookup.map});
    a_.rr(op::kBlr, 0, kTemp);
    a_.mov(Width::W64, kReg[0], kResult);
}

// r1 to r5 are where helpers take them.
void Compiler::finish_helper_call() {
    route_helper_call();
    a_.mov(Width::W64, kInvocationArg, kInvocation);
    a_.rr(op::kBlr, 0, kTemp);
    a_.mov(Width::W64, kReg[0], kResult);
}

void Compiler::helper_call(u32 helper) {
    a_.literal(kTemp, {.kind = code::RelocKind::Helper64, .index = helper});
    finish_helper_call();
    if (helper != static_cast<u32>(spec::Helper::tail_call)) return;
    const Label stays = a_.new_label();
    load_field(Width::W64, kTemp, offsetof(Invocation, tail_pending));
    a_.jump_if_zero(Width::W64, true, kTemp, stays);
    if (!is_entry(function_)) {
        a_.mov(Width::W64, kResult, kInvocation);
        load_field(Width::W64, kTemp, offsetof(Invocation, run_tail));
        a_.rr(op::kBlr, 0, kTemp);
        a_.mov(Width::W64, kReg[0], kResult);
    }
    epilogue(function_, kReg[0]);
    a_.bind(stays);
}

Status Compiler::lower_call_reg(const Insn& insn) {
    settle_for_call(insn);
    const std::optional<u64> number = called_constant(program_, analysis_, at_);
    if (number && *number >= code::kRegisterHelpers)
        return unsupported("call of a helper by register, number", *number);
    if (number) {
        helper_call(code::kCustomHelper | static_cast<u32>(*number));
    } else {
        const Gpr n = kReg[insn.dst];
        a_.rri12(op::kSubsImm, Width::W64, kZero, n, code::kRegisterHelpers);
        a_.jump(Cc::Hs, fault_exit(Fault::BadHelper));
        a_.literal(kTemp, {.kind = code::RelocKind::Function64, .addend = own_label(kHelperTable)});
        a_.access_indexed(Access::Load, Width::W64, kTemp, kTemp, {n, Operand::Lsl, 3});
        a_.jump_if_zero(Width::W64, true, kTemp, fault_exit(Fault::BadHelper));
        finish_helper_call();
    }
    check_fault();
    clear_registers(isa::kCallArgs);
    return {};
}

}  // namespace ebpf::jit::a64
