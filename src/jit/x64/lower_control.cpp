// SPDX-License-Identifier: MIT
// Jumps, calls and addresses that the execution context fills in.
#include <bit>
#include <cstddef>

#include "code/engine.hpp"
#include "jit/x64/compiler.hpp"

namespace ebpf::jit::x64 {

using isa::CallKind;
using isa::Cond;
using isa::Form;
using isa::Insn;

static_assert(offsetof(code::Invocation, tail_pending) == 0);
static_assert(offsetof(code::Invocation, run_tail) == 8);
static_assert(offsetof(code::Invocation, context) == 64);
static_assert(offsetof(code::Invocation, context_size) == 72);
static_assert(offsetof(code::Invocation, program) == 88);
static_assert(offsetof(code::Invocation, tail_calls) == 100);

// Whether a comparison of the jump's register with 0 would set the flags as they are.
bool Compiler::flags_are_of(const Insn& jump) const {
    if (flags_.place != a_.code.here() || analysis_.is_target[at_]) return false;
    if (PLANTED(FlagsOfAnyRegister)) return true;
    return flags_.reg == jump.dst && (flags_.width == jump.width || flags_.width == Width::W32);
}

// The jump of the branch at at_, whose operands were compared.
void Compiler::take_branch() {
    const Branch branch = branch_at(at_);
    left_out_ = branch.leaves_out;
    if (PLANTED(SignedConditionIsUnsigned) && branch.cond == Cond::SLt)
        return a_.code.jump(Cc::B, branch.target);
    a_.code.jump(condition_of(branch.cond), branch.target);
}

void Compiler::lower_may_goto() {
    const Mem left = field(offsetof(code::Invocation, may_goto));
    a_.arith(Arith::Cmp, Width::W64, left, 0);
    a_.code.jump(Cc::E, branch_at(at_).target);
    a_.arith(Arith::Sub, Width::W64, left, 1);
}

void Compiler::lower_jump(const Insn& insn, u32 target) {
    if (insn.form == Form::MayGoto) return lower_may_goto();
    if (target == at_ + 1) return;
    if (insn.form == Form::Ja) return a_.code.jump(Cc::Always, branch_at(at_).target);
    const Gpr dst = reg(insn.dst);
    const i32 value = static_cast<i32>(insn.imm);
    const bool against_zero = value == 0 && (insn.cond() == Cond::Eq || insn.cond() == Cond::Ne);
    if (insn.form == Form::JmpReg) {
        if (insn.cond() == Cond::Set) {
            a_.test(insn.width, dst, reg(insn.src));
        } else {
            a_.arith(Arith::Cmp, PLANTED(Jump32Compares64) ? Width::W64 : insn.width, dst,
                     reg(insn.src));
        }
    } else if (insn.cond() == Cond::Set) {
        // A mask without the sign bit selects nothing of the upper half.
        a_.test_imm(value >= 0 || PLANTED(NegativeMaskTests32) ? Width::W32 : insn.width, dst,
                    value);
    } else if (against_zero) {
        if (!flags_are_of(insn)) a_.test(insn.width, dst, dst);
    } else {
        a_.arith(Arith::Cmp, insn.width, dst, value);
    }
    take_branch();
}

Status Compiler::lower_call(const Insn& insn, u32 target) {
    switch (insn.call()) {
        case CallKind::Local:
            a_.code.jump(Cc::Call, function_label(function_at(target)));
            check_fault();
            forget_arguments();
            return {};
        case CallKind::Helper:
            if (const auto found = direct_lookup(insn)) {
                std::visit([&](const auto& kind) { lower_lookup(kind); }, *found);
                return {};
            }
            if (insn.imm == static_cast<i64>(spec::Helper::tail_call)) {
                lower_tail_call(insn);
            } else {
                helper_call(static_cast<u32>(insn.imm));
            }
            check_fault();  // of a callback
            forget_arguments();
            return {};
        case CallKind::Kfunc:
            return unsupported("call of a kernel function", static_cast<u64>(insn.imm));
    }
    return unsupported("kind of call", insn.kind);
}

// r0 = the key < the number of slots ? the slot : 0.
void Compiler::lower_lookup(const ObjectLookup& lookup) {
    const Gpr result = reg(0);
    a_.load(Width::W32, kScratch, memory(2, 0));
    relocate(a_.mov_imm64(kScratch2, 0), code::RelocKind::ObjectSlots64, lookup.map);
    a_.mov_imm(result, 0);
    a_.arith(Arith::Cmp, Width::W32, kScratch, Mem{kScratch2, code::kSlotCount});
    const u32 outside = a_.code.hop(PLANTED(LookupOfOneMoreMap) ? Cc::A : Cc::AE);
    a_.load(Width::W64, result, {kScratch2, 0, kScratch, 3});
    a_.code.land(outside);
}

// r0 = its own function(the map, the key, the slot).
void Compiler::lower_lookup(const OwnLookup& lookup) {
    for (u32 i = 0; i < 2; ++i) {
        const Gpr from = reg(static_cast<isa::Reg>(i + 1)), to = abi_.helper_arg[i];
        if (to != from) a_.mov(Width::W64, to, from);
    }
    if (!PLANTED(OwnLookupKeepsR3))
        a_.load(Width::W32, abi_.helper_arg[2], field(offsetof(code::Invocation, slot)));
    call_near(code::RelocKind::LookupNear32, lookup.map);
}

// r0 = the key < entries ? values + key * stride : 0. The multiples of 8 that strides are come from
// the address's scale.
void Compiler::lower_lookup(const ArrayLookup& lookup) {
    const Gpr result = reg(0);
    const auto values = [&] {
        relocate(a_.mov_imm64(result, 0), code::RelocKind::ArrayValues64, lookup.map,
                 lookup.entries);
    };
    const auto to_slot = [&] {
        if (lookup.slot_stride == 0 || PLANTED(LookupInSlot0)) return;
        a_.load(Width::W32, kScratch, field(offsetof(code::Invocation, slot)));
        a_.imul(Width::W64, kScratch, kScratch, static_cast<i32>(lookup.slot_stride));
        a_.arith(Arith::Add, Width::W64, result, kScratch);
    };
    if (lookup.offset) {
        values();
        if (*lookup.offset != 0) a_.arith(Arith::Add, Width::W64, result, *lookup.offset);
        to_slot();
        return;
    }
    const Width key = PLANTED(LookupKeyIs64) ? Width::W64 : Width::W32;
    a_.load(key, kScratch, memory(2, 0));
    a_.mov_imm(result, 0);
    a_.arith(Arith::Cmp, key, kScratch, static_cast<i32>(lookup.entries));
    const u32 outside = a_.code.hop(PLANTED(LookupOfOneMoreElement) ? Cc::A : Cc::AE);
    constexpr u8 kScaleLog2 = 3;
    const u32 factor = lookup.stride >> kScaleLog2;
    if (std::has_single_bit(factor)) {
        if (factor != 1)
            a_.shift(Shift::Shl, Width::W64, kScratch, static_cast<u8>(std::countr_zero(factor)));
    } else {
        a_.imul(Width::W64, kScratch, kScratch, static_cast<i32>(factor));
    }
    values();
    a_.lea(Width::W64, result, {result, 0, kScratch, kScaleLog2});
    to_slot();
    a_.code.land(outside);
}

// As in the interpreter, the value is the number of one of the embedder's own helpers. Where it is
// a constant, which is all that compilers make of it, the call is like any other.
Status Compiler::lower_call_reg(const Insn& insn) {
    const std::optional<u64> number = called_constant(program_, analysis_, at_);
    if (!number) {
        indexed_call(reg(insn.dst));
    } else if (*number < code::kRegisterHelpers) {
        helper_call(code::kCustomHelper | static_cast<u32>(*number));
    } else {
        return unsupported("call of a helper by register, number", *number);
    }
    check_fault();
    forget_arguments();
    return {};
}

void Compiler::pass_arguments() {
    for (u32 i = 0; i < kHelperArgs; ++i) {
        const bool is_invocation = i == kHelperArgs - 1;
        const Gpr from = is_invocation ? kInvocation : reg(static_cast<isa::Reg>(i + 1));
        const Gpr to = abi_.helper_arg[i];
        if (PLANTED(HelperLosesR5) && i == 4) continue;
        // An argument that no instruction of the program sets is none. (r1 and r2 are set at
        // entry.)
        if (!is_invocation && i >= 2 && !options_.checked &&
            (analysis_.written & reg_set(static_cast<isa::Reg>(i + 1))) == 0) {
            continue;
        }
        if (to == Gpr::None) {
            a_.store(Width::W64, {Gpr::Rsp, static_cast<i32>(8 * i)}, from);
        } else if (to != from) {
            a_.mov(Width::W64, to, from);
        }
    }
}

// A direct call, of kind HelperNear32 or LookupNear32: of the function where that is near enough in
// the end, else of a detour behind the code, which can go anywhere.
void Compiler::call_near(code::RelocKind kind, u32 index) {
    const auto [detour, is_new] = detours_.try_emplace({kind, index});
    if (is_new) detour->second = a_.code.new_label();
    a_.code.jump(Cc::Call, detour->second);
    constexpr u32 kDisplacement = 4;  // the call's last bytes
    const Place after = a_.code.here();
    relocate({after.bytes - kDisplacement, after.jumps}, kind, index);
}

void Compiler::detours() {
    if (detours_.empty()) return;
    begin_frame();
    for (const auto& [called, label] : detours_) {
        const bool helper = called.first == code::RelocKind::HelperNear32;
        a_.code.reserve();
        a_.code.bind(label);
        relocate(a_.mov_imm64(Gpr::Rax, 0),
                 helper ? code::RelocKind::Helper64 : code::RelocKind::Lookup64, called.second);
        if (options_.safe_indirect_calls) {
            a_.code.jump(Cc::Always, own_label(kRetpoline));
        } else {
            a_.jump(Gpr::Rax);
        }
    }
    end_frame();
}

void Compiler::helper_call(u32 helper) {
    pass_arguments();
    if (!options_.checked) return call_near(code::RelocKind::HelperNear32, helper);
    relocate(a_.mov_imm64(Gpr::Rax, 0), code::RelocKind::Helper64, helper);
    call_helper_checked();
}

void Compiler::lower_tail_call(const Insn& insn) {
    if (const auto array = tail_jump(insn)) jump_to_program(*array);
    helper_call(static_cast<u32>(spec::Helper::tail_call));

    // The program that was called takes this one's place; in a subprogram, whose caller goes on, it
    // is run here.
    a_.arith(Arith::Cmp, Width::W64, field(offsetof(code::Invocation, tail_pending)), 0);
    const Label stays = a_.code.new_label();
    a_.code.jump(Cc::E, stays);
    if (!is_entry(function_)) {
        a_.mov(Width::W64, abi_.entry_arg[0], kInvocation);
        a_.load(Width::W64, Gpr::Rax, field(offsetof(code::Invocation, run_tail)));
        call_indirect(Gpr::Rax);
    }
    epilogue(function_);
    a_.code.bind(stays);
}

// What the helper and the execution context do together where nothing is in the way: counts the
// call, and enters the program in slot r3 of the array with this one's frame taken down. Goes on
// otherwise, with r1 to r5 as they were.
void Compiler::jump_to_program(u32 array) {
    const Label other = a_.code.new_label();
    const Mem calls = field(offsetof(code::Invocation, tail_calls));
    const Gpr program = Gpr::Rax;  // and its entry: the retpoline wants it there
    a_.arith(Arith::Cmp, Width::W32, calls,
             static_cast<i32>(code::kMaxTailCalls + (PLANTED(OneMoreTailCall) ? 1 : 0)));
    a_.code.jump(Cc::AE, other);
    relocate(a_.mov_imm64(kScratch, 0), code::RelocKind::ObjectSlots64, array);
    a_.mov(PLANTED(TailCallIndexIs64) ? Width::W64 : Width::W32, program, reg(3));
    a_.arith(Arith::Cmp, Width::W32, program, Mem{kScratch, code::kSlotCount});
    a_.code.jump(PLANTED(TailCallOfOneMoreSlot) ? Cc::A : Cc::AE, other);
    a_.load(Width::W64, program, {kScratch, 0, program, 3});
    a_.test(Width::W64, program, program);
    a_.code.jump(Cc::E, other);
    a_.arith(Arith::Cmp, Width::W64, Mem{program, code::kProgramEntry}, 0);
    a_.code.jump(Cc::E, other);
    if (!PLANTED(TailCallIsNotCounted)) a_.arith(Arith::Add, Width::W32, calls, 1);
    a_.store(Width::W64, field(offsetof(code::Invocation, program)), program);
    a_.load(Width::W64, program, {program, code::kProgramEntry});
    a_.load(Width::W64, abi_.entry_arg[0], field(offsetof(code::Invocation, context)));
    a_.load(Width::W64, abi_.entry_arg[1], field(offsetof(code::Invocation, context_size)));
    a_.mov(Width::W64, abi_.entry_arg[2], kInvocation);
    take_down_frame(function_);
    leave_to(program);
    a_.code.reserve();
    a_.code.bind(other);
}

Status Compiler::lower_wide(const Insn& insn, u32 target) {
    TRY_ASSIGN(const auto address, address_of(insn, target));
    if (address) {
        relocate(a_.mov_imm64(reg(insn.dst), 0), address->kind, address->index, address->addend);
    } else {
        a_.mov_imm(reg(insn.dst), static_cast<u64>(insn.imm));
    }
    return {};
}

}  // namespace ebpf::jit::x64
