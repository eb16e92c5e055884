// SPDX-License-Identifier: MIT
// One instruction on one state: dispatch by form, and everything that stays inside registers.
#include <algorithm>

#include "spec/attach_types.hpp"
#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

using isa::AluOp;
using isa::Form;
using isa::Width;

bool Analyzer::readable(isa::Reg r) {
    const Reg& value = reg(r);
    if (value.kind != Kind::Uninit || (planted(220) && value.lost == Lost::Call)) return true;
    std::vector<std::string> notes;
    std::string message = register_name(r) + " is read but ";
    switch (value.lost) {
        case Lost::Never:
            message += "was never written on this path";
            break;
        case Lost::Call:
            message += "a call has overwritten it";
            notes.push_back(
                "lost at instruction " + std::to_string(value.index) +
                ": calls leave r1 to r5 undefined, and r0 too when they return nothing");
            break;
        case Lost::PacketChanged:
            message += "the packet pointer it held is no longer valid";
            notes.push_back("lost at instruction " + std::to_string(value.index) +
                            ": that call may move the packet; load data and data_end again and "
                            "repeat the comparison");
            break;
        case Lost::Released:
            message += "what it pointed to was released";
            notes.push_back("released at instruction " + std::to_string(value.index));
            break;
    }
    return reject(DiagnosticCode::RegisterUninit, std::move(message), std::move(notes));
}

// A packet pointer that is no longer valid. It is an address still, so whoever may see addresses
// may calculate with it: compilers measure the packet (`data_end - data`) only where the length is
// used, which may be behind a call that changes the packet.
bool Analyzer::is_stale(const Reg& r) const {
    return r.kind == Kind::Uninit && r.lost == Lost::PacketChanged && may_leak();
}

// Copied, or moved by a number, it is such a pointer still, which the one who uses it will be told.
Reg Analyzer::of_stale_pointers(const isa::Insn& i) {
    const bool has_source = i.form == Form::AluReg;
    const bool wide = (has_source || i.form == Form::AluImm) && i.is64();
    const bool from_source = has_source && is_stale(reg(i.src));
    if (wide && i.alu() == AluOp::Mov) return reg(i.src);
    const bool moved = wide && (i.alu() == AluOp::Add || i.alu() == AluOp::Sub) &&
                       from_source != is_stale(reg(i.dst));
    if (moved) return reg(from_source ? i.src : i.dst);
    return number_of(i);
}

// Some number that the operation may give.
Reg Analyzer::number_of(const isa::Insn& i) {
    return unknown(i.form == Form::Endian || !i.is64() ? isa::bytes(i.width) : 8);
}

bool Analyzer::writable(isa::Reg r) {
    if (r < isa::kFramePointer) return true;
    return reject(DiagnosticCode::FramePointerWrite, "r10 cannot be written");
}

Step Analyzer::step() {
    const isa::Insn& i = insn();
    const auto next = [&](bool ok) {
        if (!ok) return Step::Failed;
        ++now_.pc;
        return Step::Continue;
    };
    switch (i.form) {
        case Form::AluReg:
        case Form::AluImm:
        case Form::Neg:
        case Form::MovSx:
        case Form::Endian:
            return next(alu(i));
        case Form::Load:
        case Form::LoadSx:
            return next(load(i));
        case Form::StoreReg:
        case Form::StoreImm:
            return next(store(i));
        case Form::Atomic:
            return next(atomic(i));
        case Form::JmpReg:
        case Form::JmpImm:
            return branch(i);
        case Form::Ja:
            if (planted(320) && program_.target[now_.pc] <= now_.pc) {
                reject(DiagnosticCode::InfiniteLoop, "a jump goes back");
                return Step::Failed;
            }
            now_.pc = program_.target[now_.pc];
            if (planted(314))
                now_.for_each([](const Reg& r) { return r.is_scalar(); }, [](Reg& r) { r.id = 0; });
            return Step::Continue;
        case Form::MayGoto: {
            note_ways(true, true);
            State ended = now_;
            ended.pc = program_.target[now_.pc];
            if (planted(228)) ++ended.may_goto;
            if (!planted(126)) push(ended);
            ++now_.may_goto;
            ++now_.pc;
            return Step::Continue;
        }
        case Form::Call:
            return call(i);
        case Form::CallReg: {
            if (!readable(i.dst)) return Step::Failed;
            const Reg& number = reg(i.dst);
            if (!number.is_constant() || number.num.value() > 0x7fffffff) {
                reject(DiagnosticCode::UnknownHelper,
                       "the number of the helper in " + register_name(i.dst) +
                           " must be a constant, but is " + to_string(number));
                return Step::Failed;
            }
            need(number);
            return call_helper(static_cast<u32>(number.num.value()));
        }
        case Form::Exit:
            return exit();
        case Form::Wide:
            return next(wide(i));
        case Form::LegacyLoad:
            return next(legacy_load(i));
    }
    return Step::Failed;
}

bool Analyzer::alu(const isa::Insn& i) {
    if (!writable(i.dst)) return false;
    const bool moves =
        i.form == Form::MovSx ||
        ((i.form == Form::AluReg || i.form == Form::AluImm) && i.alu() == AluOp::Mov);
    const bool has_source = i.form == Form::AluReg || i.form == Form::MovSx;
    const bool of_stale = (!moves && is_stale(reg(i.dst))) || (has_source && is_stale(reg(i.src)));
    if (!moves && !is_stale(reg(i.dst)) && !readable(i.dst)) return false;
    if (has_source && !is_stale(reg(i.src)) && !readable(i.src)) return false;
    Reg& dst = reg(i.dst);

    if (of_stale) {
        dst = of_stale_pointers(i);
        return true;
    }

    if (i.form == Form::AluReg || i.form == Form::AluImm) {
        const Reg src =
            i.form == Form::AluReg ? reg(i.src) : Reg::constant(static_cast<u64>(i.imm));
        if (i.form == Form::AluReg) note_divisor(i, src);
        if (moves && (src.is_scalar() || i.is64())) {
            if (!src.is_scalar() || i.is64() || src.num.umax() <= 0xffffffff || planted(121)) {
                dst = src;
            } else {
                dst = low_half(src, src.num.low32());
            }
            return true;
        }
        if ((moves || dst.is_scalar()) && src.is_scalar()) return alu_scalar(i, dst, src);
        return pointer_arithmetic(i, dst, src);
    }

    const Reg src = i.form == Form::MovSx ? reg(i.src) : dst;
    if (!src.is_scalar()) return pointer_arithmetic(i, dst, src);
    Scalar result;
    if (i.form == Form::Neg) {
        result = negate(i.width, src.num);
    } else if (i.form == Form::MovSx) {
        result = sign_extend(i.width, i.from_bits, src.num);
    } else {
        result = endian(i.endian(), i.width, src.num);
    }
    const bool same =
        result == src.num &&
        (i.form == Form::MovSx || (i.form == Form::Endian && i.endian() == isa::EndianOp::ToLe));
    if (same) {
        dst = src;  // the value fits: it is the same number
    } else if (result.is_constant()) {
        dst = Reg::constant(result.value());
    } else {
        dst = Reg::scalar(result, fresh_id());
    }
    dst.need = src.need;
    return true;
}

// Whether the engines may divide without a test. Of whatever kind the dividend is.
void Analyzer::note_divisor(const isa::Insn& i, const Reg& src) {
    const AluOp op = i.alu();
    if (op != AluOp::Div && op != AluOp::Mod && op != AluOp::SDiv && op != AluOp::SMod) return;
    InsnNotes& notes = insn_notes_[now_.pc];
    facts_.insns[now_.pc].divisor_nonzero = true;
    // The low half of an address may be 0.
    if (!src.is_scalar() || (i.is64() ? src.num : src.num.low32()).contains(0)) {
        notes.divisor_may_be_zero = true;
    } else if (!notes.divisor_may_be_zero) {
        need(src);  // engines rely on it on the paths that this one stands for, too
    }
}

namespace {

// `scale * identity + delta`; identity 0: no such form is known. Scale 0: a constant.
struct Linear {
    u32 id = 0;
    i64 scale = 1;
    i64 delta = 0;
    bool low = false;  // of the low halves only
};

constexpr i64 kMaxScale = i64{1} << 48;  // larger ones serve no index

i64 wrapping_mul(i64 a, i64 b) {
    return static_cast<i64>(static_cast<u64>(a) * static_cast<u64>(b));
}
i64 wrapping_add(i64 a, i64 b) {
    return static_cast<i64>(static_cast<u64>(a) + static_cast<u64>(b));
}

Linear scaled(const Reg& r, i64 factor, i64 added = 0) {
    i64 scale;
    if (r.id == 0 || __builtin_mul_overflow(r.scale, factor, &scale) || scale == 0 ||
        scale > kMaxScale || scale < -kMaxScale)
        return {};
    return {r.id, scale, wrapping_add(wrapping_mul(r.delta, factor), added), r.low};
}

// A low half in the upper one, which is how it is computed with without 32-bit instructions.
constexpr i64 kUpper = i64{1} << 32;

// Shifted up into the upper half, nothing but the low half is left of a number.
Linear shifted_left(const Reg& a, i64 count) {
    if (count > 40) return {};
    Linear r = scaled(a, i64{1} << count);
    if (count >= (planted(129) ? 1 : 32)) r.low = false;
    return r;
}

// What lies in the upper half comes down: with or without its sign, in the low halves it is that.
Linear shifted_right(const Reg& a, i64 count, UpperHalf extended) {
    const bool upper = a.scale % kUpper == 0 && a.delta % kUpper == 0 && !a.low;
    if (a.id == 0 || !upper || count > 32) return {};
    return {a.id, a.scale >> count, a.delta >> count, (a.object & extended) == 0 && !planted(128)};
}

// What `r`, which is `whole << 32`, has in its upper half.
void note_upper_half(Reg& r, const Reg& whole) {
    if (r.id != whole.id || whole.low || r.scale >> 32 != whole.scale ||
        r.delta >> 32 != whole.delta)
        return;
    if (whole.num.umax() <= 0xffffffff || planted(131)) r.object |= kUpperUnsigned;
    if (whole.num.smin() >= std::numeric_limits<i32>::min() &&
        whole.num.smax() <= std::numeric_limits<i32>::max())
        r.object |= kUpperSigned;
    if (!whole.is_length() || r.object == 0) return;
    r.set_length(whole.index, whole.size, whole.off);
    r.frame = 2;
}

// The result's form, computed in 64 bits if it holds for more than the low halves.
Linear linear_result(AluOp op, Width width, const Reg& a, const Reg& b) {
    const bool a_fixed = a.num.is_constant(), b_fixed = b.num.is_constant();
    const i64 x = a_fixed ? static_cast<i64>(a.num.value()) : 0;
    const i64 y = b_fixed ? static_cast<i64>(b.num.value()) : 0;
    if (a_fixed && b_fixed) return {};
    switch (op) {
        case AluOp::Mul:
            return b_fixed ? scaled(a, y) : a_fixed ? scaled(b, x) : Linear{};
        case AluOp::Lsh:
            return b_fixed ? shifted_left(a, y & (planted(130) ? 63 : isa::bits(width) - 1))
                           : Linear{};
        case AluOp::Rsh:
        case AluOp::Arsh:
            return b_fixed && width == Width::W64
                       ? shifted_right(
                             a, y & 63,
                             op == AluOp::Arsh || planted(132) ? kUpperSigned : kUpperUnsigned)
                       : Linear{};
        case AluOp::Add:
        case AluOp::Sub: {
            const i64 sign = op == AluOp::Sub ? -1 : 1;
            if (b_fixed) return scaled(a, 1, wrapping_mul(sign, y));
            if (a_fixed) return planted(309) ? Linear{} : scaled(b, sign, x);
            if (a.id == 0 || a.id != b.id) return {};
            return {a.id, a.scale + sign * b.scale,
                    wrapping_add(a.delta, wrapping_mul(sign, b.delta)), a.low || b.low};
        }
        default:
            return {};
    }
}

// Whether 32 bits compute the same as 64.
bool fits_32_bits(AluOp op, const Scalar& a, const Scalar& b) {
    constexpr i64 kLargest = 0xffffffff;
    if (a.umax() > kLargest) return false;
    Scalar other = b;
    if (b.is_constant() && (op == AluOp::Add || op == AluOp::Sub || op == AluOp::Mul))
        other = Scalar::constant(static_cast<u64>(i64{static_cast<i32>(b.value())}));
    const Scalar wide = verifier::alu(op, Width::W64, a, other);
    return (b.is_constant() || b.umax() <= kLargest) && wide.smin() >= 0 && wide.smax() <= kLargest;
}

}  // namespace

// What is known of the low half of `whole`, whose number is `num`.
Reg Analyzer::low_half(const Reg& whole, const Scalar& num) {
    Reg r = num.is_constant() ? Reg::constant(num.value()) : Reg::scalar(num, fresh_id());
    if (whole.id != 0 && !num.is_constant()) {
        r.id = whole.id;
        r.scale = whole.scale;
        r.delta = whole.delta;
        r.low = true;
    }
    r.need = whole.need;
    return r;
}

bool Analyzer::alu_scalar(const isa::Insn& i, Reg& dst, const Reg& src) {
    const AluOp op = i.alu();
    const u32 made_of = needs_.combine(dst.need, src.need);
    if (i.form == Form::AluReg && i.dst == i.src && i.is64() &&
        (op == AluOp::Sub || op == AluOp::Xor)) {
        dst = Reg::constant(0);
        return true;
    }
    // A mask that keeps every bit.
    if (op == AluOp::And && src.num.is_constant() &&
        (src.num.value() & (src.num.value() + 1)) == 0 && dst.num.umax() <= src.num.value() &&
        (i.is64() || dst.num.umax() <= 0xffffffff)) {
        dst.need = made_of;
        return true;
    }
    const Linear linear = linear_result(op, i.width, dst, src);
    if (linear.id != 0 && linear.scale == 0 && !linear.low) {
        // The difference of two values that move together.
        const u64 value = static_cast<u64>(linear.delta);
        dst = Reg::constant(i.is64() ? value : static_cast<u32>(value));
        dst.need = made_of;
        return true;
    }
    Scalar result = verifier::alu(op, i.width, dst.num, src.num);
    bool exact = i.is64() || planted(122) || fits_32_bits(op, dst.num, src.num);
    const bool sum = linear.id == 0 && (op == AluOp::Add || op == AluOp::Sub);
    u32 need = made_of;
    if (sum && !now_.relations.empty()) {
        // The sum as 64 bits have it; if that fits, it is what 32 bits have, too.
        Scalar wide = verifier::alu(op, Width::W64, dst.num, src.num);
        u32 related = 0;
        const bool sharper = sharpen_sum(wide, related, dst, src, op == AluOp::Sub);
        const Scalar both = result.intersect(wide);
        if (sharper && (i.is64() || wide.umax() <= 0xffffffff) && !both.empty()) {
            result = both;
            exact = true;
            need = needs_.combine(made_of, related);
        }
    }
    const u32 id = sum && exact ? moved_identity(dst, src.num, op == AluOp::Sub) : 0;
    const Reg before = dst;
    dst = result.is_constant() ? Reg::constant(result.value())
                               : Reg::scalar(result, id != 0 ? id : fresh_id());
    dst.need = need;
    if (sum && (exact || planted(242))) note_sum(dst, before, src, op == AluOp::Sub, need);
    const bool takes = op == AluOp::And || op == AluOp::Rsh || op == AluOp::Div || op == AluOp::Mod;
    if (takes && exact && linear.id == 0) note_part(dst, before);
    if (linear.id != 0 && linear.scale != 0 && !result.is_constant()) {
        dst.id = linear.id;
        dst.scale = linear.scale;
        dst.delta = planted(123) ? 0 : linear.delta;
        dst.low = linear.low || !exact;
        const u64 count = src.num.value() & 63;  // of a shift, which has a form by a constant only
        if (op == AluOp::Lsh && i.is64() && count == 32) note_upper_half(dst, before);
        const bool down = (op == AluOp::Rsh || op == AluOp::Arsh) && count == 32 && !dst.low;
        if (down && before.frame == 2) dst.set_length(before.index, before.size, before.off);
    }
    return true;
}

// Bytes that were proven through another register with this identity. Only live registers count:
// what a dead one holds may differ in a state that this one stands for (cover.cpp).
i64 Analyzer::proven_by_others(Kind kind, u32 id) const {
    i64 reach = -1;
    for (unsigned r = 0; r < isa::kFramePointer; ++r) {
        const Reg& other = (planted(317) ? now_.frames.front() : now_.top()).regs[r];
        const bool live = (flow_.live[now_.pc] >> r & 1) || planted(100);
        if (live && other.kind == kind && other.id == id) reach = std::max(reach, other.reach());
    }
    return reach;
}

// Identities from here on were made on this path since its last checkpoint.
u32 Analyzer::made_since_checkpoint() const {
    return path_.empty() || planted(127) ? 1 : path_.back().checkpoint->next_id;
}

// The same sum made again is the same pointer, and what was proven for it holds. Not a sum from
// before the last checkpoint: that stands for states, too, in which the earlier pointer was made of
// something else.
u32 Analyzer::packet_sum(const Reg& pointer, const Reg& number) {
    const u32 fresh = fresh_id();
    u32& made = packet_ids_[{pointer.id, number.id, number.scale, number.delta}];
    if (made < made_since_checkpoint() || number.id == 0) made = fresh;
    packet_sums_[made] = {pointer.id, number.id, number.scale, number.delta};
    return made;
}

// Arithmetic with at least one pointer among the operands.
bool Analyzer::pointer_arithmetic(const isa::Insn& i, Reg& dst, const Reg& src) {
    const bool binary = i.form == Form::AluReg || i.form == Form::AluImm;
    const bool add = binary && i.alu() == AluOp::Add && i.is64();
    const bool sub = binary && i.alu() == AluOp::Sub && i.is64();
    const bool pointer_first = dst.is_pointer();
    const Reg pointer = pointer_first ? dst : src;
    const Reg number = pointer_first ? src : dst;
    const bool one_pointer =
        pointer.is_pointer() && number.is_scalar() && (pointer_first || !planted(315));

    if (one_pointer && (add || (sub && pointer_first)) &&
        (pointer.has_arithmetic() || pointer.kind == Kind::Context ||
         (pointer.kind == Kind::Typed && number.num.is_constant()))) {
        const isa::Reg which = pointer_first ? i.dst : i.src;
        if (pointer.nullable && pointer.kind != Kind::Typed) {
            return reject(DiagnosticCode::NullPointer,
                          register_name(which) + " may be null (" + to_string(pointer) +
                              "), so nothing may be added to it before it is tested");
        }
        need(number);
        if (number.num.smin() <= -kMaxOffset || number.num.smax() >= kMaxOffset) {
            return reject(DiagnosticCode::PointerArithmetic,
                          "the number that is " +
                              std::string(add ? "added to " : "subtracted from ") +
                              name(pointer.kind) + " is not limited: it is " + to_string(number),
                          {"it must be proven to lie within +-" + std::to_string(kMaxOffset) +
                           " before the addition"});
        }
        Reg result = pointer;
        if (number.num.is_constant()) {
            const i64 off = add ? pointer.off + static_cast<i64>(number.num.value())
                                : pointer.off - static_cast<i64>(number.num.value());
            if (off <= -kMaxOffset || off >= kMaxOffset) {
                return reject(
                    DiagnosticCode::PointerArithmetic,
                    "the offset of " + to_string(pointer) + " becomes " + std::to_string(off));
            }
            result.off = static_cast<i32>(off);
            // Null moved is not null, so it is tested alone.
            if (pointer.kind == Kind::Typed) result.id = fresh_id();
        } else {
            // It is no field's address any more: what is behind a tracepoint's fields is read by
            // helpers, which take any number for an address.
            if (pointer.kind == Kind::Context && may_leak()) {
                dst = number_of(i);
                return true;
            }
            if (pointer.kind == Kind::Context) {
                return reject(
                    DiagnosticCode::PointerArithmetic,
                    "a variable number (" + to_string(number) + ") is added to the context");
            }
            const Linear moved = scaled(number, add ? 1 : -1);
            const i64 start = pointer.var == 0 && pointer.num.is_constant()
                                  ? static_cast<i64>(pointer.num.value())
                                  : pointer.delta;
            result.num =
                verifier::alu(add ? AluOp::Add : AluOp::Sub, Width::W64, pointer.num, number.num);
            result.delta = wrapping_add(start, moved.delta);
            if (pointer.var == 0 && pointer.num.is_constant()) {
                result.var = moved.id;
                result.scale = moved.scale;
                result.low = moved.low;
            } else if (moved.id != 0 && moved.id == pointer.var &&
                       pointer.scale + moved.scale != 0) {
                result.scale = pointer.scale + moved.scale;
                result.low = pointer.low || moved.low;
            } else {
                result.var = moved_identity(pointer, number.num, !add);
                if (result.var == 0) result.var = fresh_id();
                result.scale = 1;
                result.delta = 0;
                result.low = false;
                note_sum(result, pointer, number, !add, 0);
            }
            if (result.num.smin() <= -kMaxOffset || result.num.smax() >= kMaxOffset) {
                return reject(DiagnosticCode::PointerArithmetic,
                              "the offset of " + to_string(pointer) + " is no longer limited");
            }
            if (pointer.is_packet()) {
                result.id = add && !number.low ? packet_sum(pointer, number) : fresh_id();
                i64 reach = proven_by_others(pointer.kind, result.id);
                const bool own = number.is_length() &&
                                 (number.index == pointer.id || planted(237)) && number.size == 1 &&
                                 pointer.kind == Kind::Packet;
                if (add && own) reach = std::max<i64>(reach, number.off);
                result.set_reach(reach);
            }
        }
        dst = result;
        return true;
    }

    // Anything else gives a number that depends on an address.
    if (pointer.kind == Kind::Uninit || !may_leak()) {
        return reject(DiagnosticCode::PointerArithmetic,
                      "this operation is not possible on " + std::string(name(pointer.kind)) +
                          " (" + to_string(pointer) + ")",
                      {"only numbers may be added to or subtracted from stack, packet, map value "
                       "and record pointers, in 64 bits"});
    }
    if (number.is_scalar()) need(number);
    const bool length = sub && dst.kind == Kind::PacketEnd && src.kind == Kind::Packet &&
                        src.off >= 0 && src.num.smin() >= 0 &&
                        src.num.smax() + src.off <= kMaxPacketOffset;
    if (length) {
        dst = unknown(8);
        dst.set_length(src.id, 1, src.off);
        return true;
    }
    dst = number_of(i);
    return true;
}

bool Analyzer::wide(const isa::Insn& i) {
    if (!writable(i.dst)) return false;
    Reg& dst = reg(i.dst);
    switch (i.wide()) {
        case isa::WideKind::Imm64:
            dst = Reg::constant(static_cast<u64>(i.imm));
            return true;
        case isa::WideKind::MapIndex:
        case isa::WideKind::MapIndexValue: {
            if (i.map_index() >= program_.maps.size()) {
                return reject(DiagnosticCode::HelperArgument,
                              "there is no map " + std::to_string(i.map_index()));
            }
            const bool value = i.wide() == isa::WideKind::MapIndexValue;
            dst = Reg::pointer(value ? Kind::MapValue : Kind::Map);
            dst.index = i.map_index();
            if (value) {
                const ir::MapDef& m = map(i.map_index());
                if (m.type != spec::MapType::Array || i.map_value_offset() > m.value_size) {
                    return reject(DiagnosticCode::MapValueBounds,
                                  "offset " + std::to_string(i.map_value_offset()) +
                                      " lies outside the " + std::to_string(m.value_size) +
                                      " bytes of " + m.name);
                }
                dst.off = static_cast<i32>(i.map_value_offset());
            }
            return true;
        }
        case isa::WideKind::Function:
            dst = Reg::pointer(Kind::Function);
            dst.index = program_.target[now_.pc];
            return true;
        case isa::WideKind::MapFd:
        case isa::WideKind::MapFdValue:
            return unsupported("a map by descriptor " + std::to_string(static_cast<u32>(i.imm)) +
                               " that was not resolved");
        case isa::WideKind::BtfId:
            return unsupported("a variable by BTF id " + std::to_string(static_cast<u32>(i.imm)));
    }
    return false;
}

// A timer's function ends: there is nobody to return to.
Step Analyzer::exit_asynchronous() {
    if (!readable(0)) return Step::Failed;
    const Reg& r0 = reg(0);
    if (r0.is_scalar()) need(r0);
    if (!r0.is_scalar() || r0.num.umax() != 0) {
        reject(DiagnosticCode::BadCallback,
               "the function of a timer may return " + to_string(r0) + "; it must return 0");
        return Step::Failed;
    }
    if (now_.refs.empty()) return Step::End;
    reject(DiagnosticCode::ReferenceLeak,
           "the function ends while it still holds what a helper acquired for it");
    return Step::Failed;
}

Step Analyzer::exit() {
    if (now_.lock.held) {
        reject(DiagnosticCode::LockRegion, "the function ends while a spin lock is held",
               {"call bpf_spin_unlock() on every path"});
        return Step::Failed;
    }
    if (now_.top().callback_of == kAsynchronous) return exit_asynchronous();
    if (now_.frames.size() > 1) {
        const bool ok = now_.top().callback_of >= 0 ? return_from_callback() : return_from_call();
        return ok ? Step::Continue : Step::Failed;
    }
    if (!now_.refs.empty() && !planted(221)) {
        reject(DiagnosticCode::ReferenceLeak,
               "the program ends while it still holds what a helper acquired for it",
               {"references held: " + std::to_string(now_.refs.size())});
        return Step::Failed;
    }
    if (!readable(0)) return Step::Failed;
    const Reg& r0 = reg(0);
    const spec::ReturnRange range = spec::return_range(*environment_.type, program_.attach);
    if (!r0.is_scalar()) {
        if (may_leak() && !range.checked) return Step::End;
        reject(DiagnosticCode::ReturnPointer, "r0 is " + std::string(name(r0.kind)) +
                                                  " when the program ends; it must be a number");
        return Step::Failed;
    }
    if (range.checked) {
        need(r0);
        if (r0.num.smin() < range.min || r0.num.smax() > range.max) {
            reject(DiagnosticCode::ReturnValue,
                   "the program may return " + to_string(r0) + ", but its type allows " +
                       std::to_string(range.min) + " to " + std::to_string(range.max) + " only");
            return Step::Failed;
        }
    }
    return Step::End;
}

}  // namespace ebpf::verifier
