// SPDX-License-Identifier: MIT
// Instructions of BPF in AArch64's. A 32-bit instruction of either clears the upper half.
#include <bit>

#include "jit/a64/compiler.hpp"

namespace ebpf::jit::a64 {

using code::Fault;
using code::Invocation;
using isa::AluOp;
using isa::AtomicOp;
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

constexpr u32 imm_form(AluOp op) {
    return op == AluOp::And ? op::kAndImm : op == AluOp::Or ? op::kOrrImm : op::kEorImm;
}

constexpr i64 kMaxImm12 = 0xFFF;

}  // namespace

u32 Compiler::lower_sequence(u32 at) {
    const Insn& insn = program_.insns[at];
    const bool alu = insn.form == Form::AluReg || insn.form == Form::AluImm;
    if (!alu && insn.form != Form::Load) return 0;
    const Sequence s{program_, analysis_, at, program_.subprograms[function_].end};
    if (const auto e = match_extension(s)) {
        const u32 bits = static_cast<u32>(isa::bits(e->to));
        const u32 base = e->sign ? op::kSbfm : op::kUbfm;
        const u32 turn = e->left != 0 ? bits - e->left : e->right;
        a_.bitfield(base, e->to, reg(e->dst), reg(e->src), turn,
                    static_cast<u32>(isa::bits(e->from)) - 1);
        return e->count;
    }
    if (const auto r = match_rotation(s)) {
        a_.ror(r->width, reg(r->dst), reg(r->src), static_cast<u32>(isa::bits(r->width)) - r->left);
        return r->count;
    }
    if (const auto a = match_address(s)) {
        at_ = at + a->count - 1;
        lower_address(*a);
        return a->count;
    }
    return 0;
}

Result<u32> Compiler::lower(u32 at) {
    if (const u32 count = lower_sequence(at)) return count;
    at_ = at;
    const Insn& insn = program_.insns[at];
    const u32 target = program_.target[at];
    const Gpr dst = reg(insn.dst);
    switch (insn.form) {
        case Form::AluReg:
            lower_alu_reg(insn, reg(insn.src));
            break;
        case Form::AluImm:
            lower_alu_imm(insn);
            break;
        case Form::Neg:
            a_.rrr(op::kSub, insn.width, dst, kZero, dst);
            break;
        case Form::MovSx:
            a_.bitfield(op::kSbfm, insn.width, dst, reg(insn.src), 0, insn.from_bits - 1u);
            break;
        case Form::Endian:
            lower_endian(insn);
            break;
        case Form::Load:
        case Form::LoadSx:
            lower_access(insn, reg(insn.src), insn.off);
            break;
        case Form::StoreReg:
        case Form::StoreImm:
            lower_access(insn, reg(insn.dst), insn.off);
            break;
        case Form::Atomic:
            lower_atomic(insn);
            break;
        case Form::JmpReg:
        case Form::JmpImm:
        case Form::MayGoto:
        case Form::Ja:
            lower_jump(insn, target);
            break;
        case Form::Call:
            TRY(lower_call(insn, target));
            break;
        case Form::CallReg:
            TRY(lower_call_reg(insn));
            break;
        case Form::Exit:
            epilogue(function_);
            break;
        case Form::Wide:
            TRY(lower_wide(insn, target));
            break;
        case Form::LegacyLoad:
            return unsupported("legacy packet load");
    }
    return 1;
}

void Compiler::lower_alu_reg(const Insn& insn, Gpr src) {
    const Gpr d = reg(insn.dst);
    const Width w = insn.width;
    switch (insn.alu()) {
        case AluOp::Add:
            return a_.rrr(op::kAdd, w, d, d, src);
        case AluOp::Sub:
            return a_.rrr(op::kSub, w, d, d, src);
        case AluOp::Or:
            return a_.rrr(op::kOrr, w, d, d, src);
        case AluOp::And:
            return a_.rrr(op::kAnd, w, d, d, src);
        case AluOp::Xor:
            return a_.rrr(op::kEor, w, d, d, src);
        case AluOp::Mul:
            return a_.rrrr(op::kMadd, w, d, d, src, kZero);
        case AluOp::Div:
            return a_.rrr(op::kUdiv, w, d, d, src);
        case AluOp::SDiv:
            return a_.rrr(op::kSdiv, w, d, d, src);
        case AluOp::Mod:
        case AluOp::SMod:
            a_.rrr(insn.alu() == AluOp::Mod ? op::kUdiv : op::kSdiv, w, kTemp2, d, src);
            return a_.rrrr(op::kMsub, w, d, kTemp2, src, d);
        case AluOp::Lsh:
            return a_.rrr(op::kLslv, w, d, d, src);
        case AluOp::Rsh:
            return a_.rrr(op::kLsrv, w, d, d, src);
        case AluOp::Arsh:
            return a_.rrr(op::kAsrv, w, d, d, src);
        case AluOp::Mov:
            if (d != src || w == Width::W32) a_.mov(w, d, src);
            return;
    }
}

void Compiler::add_imm(Width w, Gpr d, Gpr n, i64 value) {
    const bool negative = value < 0;
    const i64 size = negative ? -value : value;
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

void Compiler::lower_alu_imm(const Insn& insn) {
    const Gpr d = reg(insn.dst);
    const Width w = insn.width;
    const AluOp alu = insn.alu();
    const i32 value = static_cast<i32>(insn.imm);
    const u64 bits = w == Width::W64 ? static_cast<u64>(i64{value}) : static_cast<u32>(value);
    const bool power = std::has_single_bit(bits);
    switch (alu) {
        case AluOp::Add:
            return add_imm(w, d, d, value);
        case AluOp::Sub:
            return add_imm(w, d, d, -i64{value});
        case AluOp::And:
        case AluOp::Or:
        case AluOp::Xor:
            if (const auto fields = bit_mask(bits, w))
                return a_.mask(imm_form(alu), w, d, d, *fields);
            break;
        case AluOp::Mov:
            return a_.mov_imm(d, bits);
        case AluOp::Lsh:
        case AluOp::Rsh:
        case AluOp::Arsh:
            return lower_shift_imm(alu, w, d, static_cast<u32>(insn.imm));
        case AluOp::Mul:
            if (power)
                return lower_shift_imm(AluOp::Lsh, w, d, static_cast<u32>(std::countr_zero(bits)));
            if (value > 1 && std::has_single_bit(bits - 1))
                return a_.rrr(op::kAdd, w, d, d, d, static_cast<u32>(std::countr_zero(bits - 1)));
            break;
        case AluOp::Div:
            if (power)
                return lower_shift_imm(AluOp::Rsh, w, d, static_cast<u32>(std::countr_zero(bits)));
            break;
        case AluOp::Mod:
            if (bits == 1) return a_.mov_imm(d, 0);
            if (power) {
                if (const auto fields = bit_mask(bits - 1, w))
                    return a_.mask(op::kAndImm, w, d, d, *fields);
            }
            break;
        case AluOp::SDiv:
        case AluOp::SMod:
            break;
    }
    a_.mov_imm(kTemp, bits);
    lower_alu_reg(insn, kTemp);
}

void Compiler::lower_shift_imm(AluOp op, Width w, Gpr d, u32 count) {
    const u32 bits = static_cast<u32>(isa::bits(w));
    const u32 n = count & (bits - 1);
    if (n == 0) return w == Width::W32 ? a_.mov(w, d, d) : void();
    if (op == AluOp::Lsh) return a_.bitfield(op::kUbfm, w, d, d, bits - n, bits - 1 - n);
    a_.bitfield(op == AluOp::Rsh ? op::kUbfm : op::kSbfm, w, d, d, n, bits - 1);
}

void Compiler::lower_endian(const Insn& insn) {
    const Gpr d = reg(insn.dst);
    const bool swap = insn.endian() != isa::EndianOp::ToLe;
    switch (insn.width) {
        case Width::W64:
            return swap ? a_.rr(op::kRev64, d, d) : void();
        case Width::W32:
            return swap ? a_.rr(op::kRev32, d, d) : a_.mov(Width::W32, d, d);
        default:
            if (swap) a_.rr(op::kRev16, d, d);
            return a_.bitfield(op::kUbfm, Width::W32, d, d, 0, 15);
    }
}

void Compiler::lower_access(const Insn& insn, Gpr base, i64 off) {
    if (base == reg(isa::kFramePointer)) {  // by sp the offset is positive, which has more forms
        base = kSp;
        off += analysis_.functions[function_].frame_bytes;
    }
    switch (insn.form) {
        case Form::Load:
            return a_.access(Access::Load, insn.width, reg(insn.dst), base, off, kTemp);
        case Form::LoadSx:
            return a_.access(Access::LoadSigned, insn.width, reg(insn.dst), base, off, kTemp);
        case Form::StoreReg:
            return a_.access(Access::Store, insn.width, reg(insn.src), base, off, kTemp);
        default: {
            const bool zero = insn.imm == 0;
            if (!zero) a_.mov_imm(kTemp2, static_cast<u64>(insn.imm));
            return a_.access(Access::Store, insn.width, zero ? kZero : kTemp2, base, off, kTemp);
        }
    }
}

void Compiler::lower_address(const Address& a) {
    const Gpr base = reg(a.base);
    if (a.access == nullptr) {
        const Gpr d = reg(a.dst);
        if (!a.index)
            return a.disp == 0 ? a_.mov(Width::W64, d, base) : add_imm(Width::W64, d, base, a.disp);
        a_.rrr(op::kAdd, Width::W64, d, base, reg(*a.index), a.scale_log2);
        if (a.disp != 0) add_imm(Width::W64, d, d, a.disp);
        return;
    }
    Insn access = *a.access;
    if (a.use != nullptr) access.dst = a.access->dst;  // dead afterwards: it may hold the operand
    const u32 size_log2 =
        static_cast<u32>(std::countr_zero(static_cast<u32>(isa::bytes(access.width))));
    const bool has_form =
        a.index && a.disp == 0 && (a.scale_log2 == 0 || a.scale_log2 == size_log2);
    if (!a.index) {
        lower_access(access, base, a.disp);
    } else if (has_form && access.form != Form::StoreImm) {
        const bool store = access.form == Form::StoreReg;
        a_.access_indexed(store                         ? Access::Store
                          : access.form == Form::LoadSx ? Access::LoadSigned
                                                        : Access::Load,
                          access.width, reg(store ? access.src : access.dst), base, reg(*a.index),
                          a.scale_log2 != 0);
    } else {
        a_.rrr(op::kAdd, Width::W64, kTemp3, base, reg(*a.index), a.scale_log2);
        lower_access(access, kTemp3, a.disp);
    }
    if (a.use == nullptr) return;
    if (a.use->form == Form::AluReg) return lower_alu_reg(*a.use, reg(a.use->src));
    lower_jump(*a.use, program_.target[at_]);
}

void Compiler::lower_atomic(const Insn& insn) {
    const Width w = insn.width;
    const Gpr src = reg(insn.src);
    Gpr address = reg(insn.dst);
    if (insn.off != 0) {
        add_imm(Width::W64, kTemp4, address, insn.off);
        address = kTemp4;
    }
    const Label again = a_.new_label(), out = a_.new_label();
    const Gpr old = kTemp2;
    Gpr value = kTemp3;
    a_.bind(again);
    a_.load_exclusive(w, old, address);
    switch (insn.atomic()) {
        case AtomicOp::Add:
        case AtomicOp::FetchAdd:
            a_.rrr(op::kAdd, w, value, old, src);
            break;
        case AtomicOp::Or:
        case AtomicOp::FetchOr:
            a_.rrr(op::kOrr, w, value, old, src);
            break;
        case AtomicOp::And:
        case AtomicOp::FetchAnd:
            a_.rrr(op::kAnd, w, value, old, src);
            break;
        case AtomicOp::Xor:
        case AtomicOp::FetchXor:
            a_.rrr(op::kEor, w, value, old, src);
            break;
        case AtomicOp::Xchg:
            value = src;
            break;
        case AtomicOp::CmpXchg:
            a_.rrr(op::kSubs, w, kZero, old, reg(0));
            a_.jump(Cc::Ne, out);
            value = src;
            break;
    }
    a_.store_exclusive(w, kTemp, value, address);
    a_.jump_if_zero(Width::W32, false, kTemp, again);
    a_.bind(out);
    a_.put(op::kDmbIsh);
    if (insn.atomic() == AtomicOp::CmpXchg) {
        a_.mov(w, reg(0), old);
    } else if (insn.atomic() >= AtomicOp::FetchAdd) {
        a_.mov(w, src, old);
    }
}

void Compiler::lower_may_goto(u32 target) {
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
    if (insn.form == Form::Ja) return a_.jump(Cc::Always, branch.target);
    if (insn.form == Form::JmpReg)
        return compare(branch.cond, insn.width, reg(insn.dst), reg(insn.src), branch.target);
    compare_imm(branch.cond, insn.width, reg(insn.dst), static_cast<i32>(insn.imm), branch.target);
}

void Compiler::compare(Cond cond, Width w, Gpr a, Gpr b, Label target) {
    a_.rrr(cond == Cond::Set ? op::kAnds : op::kSubs, w, kZero, a, b);
    a_.jump(condition_of(cond), target);
}

void Compiler::compare_imm(Cond cond, Width w, Gpr a, i32 value, Label target) {
    const u64 bits = w == Width::W64 ? static_cast<u64>(i64{value}) : static_cast<u32>(value);
    if (value == 0 && (cond == Cond::Eq || cond == Cond::Ne))
        return a_.jump_if_zero(w, cond == Cond::Eq, a, target);
    if (cond == Cond::Set) {
        if (const auto fields = bit_mask(bits, w)) {
            a_.mask(op::kAndsImm, w, kZero, a, *fields);
            return a_.jump(Cc::Ne, target);
        }
    } else if (value >= 0 && value <= kMaxImm12) {
        a_.rri12(op::kSubsImm, w, kZero, a, static_cast<u32>(value));
        return a_.jump(condition_of(cond), target);
    } else if (value < 0 && -i64{value} <= kMaxImm12) {
        a_.rri12(op::kAddsImm, w, kZero, a, static_cast<u32>(-value));
        return a_.jump(condition_of(cond), target);
    }
    a_.mov_imm(kTemp, bits);
    compare(cond, w, a, kTemp, target);
}

Status Compiler::lower_call(const Insn& insn, u32 target) {
    switch (insn.call()) {
        case CallKind::Local:
            a_.call(function_label(function_at(target)));
            check_fault();
            return {};
        case CallKind::Helper:
            if (const auto lookup = array_lookup(insn)) {
                lower_array_lookup(*lookup);
                return {};
            }
            helper_call(static_cast<u32>(insn.imm));
            check_fault();  // of a callback
            return {};
        case CallKind::Kfunc:
            return unsupported("call of a kernel function", static_cast<u64>(insn.imm));
    }
    return unsupported("kind of call", insn.kind);
}

// r0 = the key < entries ? values + key * stride : 0.
void Compiler::lower_array_lookup(const ArrayLookup& lookup) {
    const Gpr result = reg(0);
    const code::Relocation values{
        .kind = code::RelocKind::ArrayValues64, .index = lookup.map, .addend = lookup.entries};
    if (lookup.offset) {
        a_.literal(result, values);
        if (*lookup.offset != 0) add_imm(Width::W64, result, result, *lookup.offset);
        return;
    }
    const Label outside = a_.new_label();
    a_.access(Access::Load, Width::W32, kTemp, reg(2), 0, kTemp3);
    a_.mov_imm(kTemp2, lookup.entries);
    a_.mov(Width::W64, result, kZero);
    a_.rrr(op::kSubs, Width::W32, kZero, kTemp, kTemp2);
    a_.jump(Cc::Hs, outside);
    a_.mov_imm(kTemp2, lookup.stride);
    a_.literal(kTemp3, values);
    a_.rrrr(op::kMadd, Width::W64, result, kTemp, kTemp2, kTemp3);
    a_.bind(outside);
}

// r1 to r5 are where helpers take them.
void Compiler::finish_helper_call() {
    a_.mov(Width::W64, kInvocationArg, kInvocation);
    a_.rr(op::kBlr, 0, kTemp);
    a_.mov(Width::W64, reg(0), kResult);
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
        a_.mov(Width::W64, reg(0), kResult);
    }
    epilogue(function_);
    a_.bind(stays);
}

Status Compiler::lower_call_reg(const Insn& insn) {
    const std::optional<u64> number = called_constant(program_, analysis_, at_);
    if (number && *number >= code::kRegisterHelpers)
        return unsupported("call of a helper by register, number", *number);
    if (number) {
        helper_call(code::kCustomHelper | static_cast<u32>(*number));
    } else {
        const Gpr n = reg(insn.dst);
        a_.rri12(op::kSubsImm, Width::W64, kZero, n, code::kRegisterHelpers);
        a_.jump(Cc::Hs, fault_exit(Fault::BadHelper));
        a_.literal(kTemp, {.kind = code::RelocKind::Function64, .addend = own_label(kHelperTable)});
        a_.access_indexed(Access::Load, Width::W64, kTemp, kTemp, n, true);
        a_.jump_if_zero(Width::W64, true, kTemp, fault_exit(Fault::BadHelper));
        finish_helper_call();
    }
    check_fault();
    return {};
}

Status Compiler::lower_wide(const Insn& insn, u32 target) {
    TRY_ASSIGN(const auto address, address_of(insn, target));
    if (address) {
        a_.literal(reg(insn.dst), *address);
    } else {
        a_.mov_imm(reg(insn.dst), static_cast<u64>(insn.imm));
    }
    return {};
}

}  // namespace ebpf::jit::a64
