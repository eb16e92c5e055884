// SPDX-License-Identifier: MIT
//
// Conditional jumps. Both ways are followed unless one is impossible; then the operands' ranges
// decided it, and they are marked as needed. What the outcome teaches is given to every copy of the
// operands.
#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

using isa::Cond;

namespace {

bool is_packet_start(const Reg& r) {
    return r.kind == Kind::Packet && r.id == 0 && r.off == 0 && r.num.is_constant() &&
           r.num.value() == 0;
}

// p is compared with the end of the memory that it points into.
bool is_bounds_check(const Reg& p, const Reg& end) {
    return (p.kind == Kind::Packet && end.kind == Kind::PacketEnd) ||
           (p.kind == Kind::PacketMeta && is_packet_start(end));
}

}  // namespace

// A program whose context has no bytes may be entered with null for it (casement/vm.h).
bool Analyzer::is_empty_context(const Reg& r) const {
    return r.kind == Kind::Context && environment_.type->context.native_size == 0;
}

namespace {

constexpr i64 kMaxFactor = 1 << 16;  // of a length

// Of two numbers with one identity: the form that `known`, which is at most so much less than
// something, gives to `r`; nullopt when `r` is no such part of it. Numbers of less than
// kMaxOffset are what their forms say, without wrapping.
struct Bound {
    i64 factor, added;  // factor * r + added is what `known` was at most
};
std::optional<Bound> bound_in_terms_of(const Reg& r, const Bound& bound, const Reg& known) {
    const auto is_near = [](const Reg& n) {
        return n.num.smin() > -kMaxOffset && n.num.smax() < kMaxOffset && n.delta > -kMaxOffset &&
               n.delta < kMaxOffset;
    };
    if (r.number_id() == 0 || r.number_id() != known.number_id() || r.low || known.low)
        return std::nullopt;
    if (!is_near(r) || !is_near(known) || (bound.factor * known.scale) % r.scale != 0)
        return std::nullopt;
    const i64 factor = bound.factor * known.scale / r.scale;
    if (factor <= 0 || factor > kMaxFactor) return std::nullopt;
    const i64 added =
        bound.added + bound.factor * known.delta - (planted(233) ? 0 : factor * r.delta);
    if (added <= -kMaxOffset || added >= kMaxOffset) return std::nullopt;
    return Bound{factor, added};
}

}  // namespace

// What is between a pointer and the end proves bytes behind the pointer.
void Analyzer::learn_length(State& s, const Reg& length) {
    if (!length.is_length()) return;
    const auto give = [&](Reg& r, i64 reach) {
        if (reach <= r.reach() || reach > kMaxPacketOffset) return;
        need(length);
        r.set_reach(reach);
    };
    const i64 least = std::clamp(length.num.smin(), -kMaxOffset, kMaxPacketOffset);
    const i64 proven = i64{length.size} * least + length.off + (planted(112) ? 1 : 0);
    s.for_each([&](const Reg& r) { return r.kind == Kind::Packet && r.id == length.index; },
               [&](Reg& r) { give(r, proven); });
    if (length.index != 0) return;
    // Pointers that the length moves.
    s.for_each(
        [&](const Reg& r) { return r.kind == Kind::Packet && r.var != 0 && r.var == length.id; },
        [&](Reg& r) {
            const auto bound = bound_in_terms_of(r, {length.size, length.off}, length);
            if (bound && bound->factor == 1) give(r, bound->added);
        });
}

// Every length among the live registers that share the number's identity, of which more is known
// now. What a dead one holds, or stack that is not read, may differ in a state that this one stands
// for (cover.cpp).
void Analyzer::learn_lengths(State& s, const Reg& number) {
    for (unsigned r = 0; r < isa::kFramePointer; ++r) {
        const Reg& length = s.top().regs[r];
        const bool live = (flow_.live[s.pc] >> r & 1) || planted(239);
        if (live && length.is_length() && length.id == number.number_id())
            learn_length(s, Reg(length));
    }
}

// `part`, a number of the pointer p, plus `added` is at most what lies between the pointer of
// identity `base` and the end: whoever shares the number's identity is a length.
void Analyzer::learn_part(State& s, u32 base, const Reg& part, i64 added) {
    s.for_each([&](const Reg& r) { return r.is_scalar() && r.id != 0 && r.id == part.number_id(); },
               [&](Reg& r) {
                   const auto bound = bound_in_terms_of(r, {1, added}, part);
                   if (!bound) return;
                   const bool known = r.is_length() && r.index == base &&
                                      i64{r.size} == bound->factor && r.off >= bound->added;
                   if (known) return;
                   need(r);
                   r.set_length(base, static_cast<u32>(bound->factor),
                                static_cast<i32>(bound->added));
               });
    learn_lengths(s, part);
}

// The packet pointer p is at least `left` bytes before the end.
void Analyzer::learn_parts(State& s, const Reg& p, i64 left) {
    if (p.kind != Kind::Packet) return;
    learn_part(s, 0, p, left);
    const auto sum = packet_sums_.find(p.id);
    if (sum == packet_sums_.end() || p.id < made_since_checkpoint()) return;
    Reg number =
        Reg::scalar(Scalar::of_signed_range(-kMaxOffset + 1, kMaxOffset - 1), sum->second.number);
    number.scale = sum->second.scale;
    number.delta = sum->second.delta;
    learn_part(s, sum->second.pointer, number, left);
}

namespace {

const Scalar kEverything = Scalar::unknown();

Scalar plus(const Scalar& a, u64 b) {
    return b == 0 ? a : verifier::alu(isa::AluOp::Add, isa::Width::W64, a, Scalar::constant(b));
}

i64 divide_down(i64 a, i64 b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

// What the number of `r` must be, when that of `known`, which shares its identity, is known:
// with x the identity's value, known == s * x + d and r == t * x + e.
Scalar implied(const Reg& known, const Reg& r) {
    const i64 s = known.scale, t = r.scale;
    if (known.low || r.low) {
        if (t % s != 0) return kEverything;
        using isa::AluOp;
        const auto alu32 = [](AluOp op, const Scalar& a, i64 b) {
            return verifier::alu(op, isa::Width::W32, a, Scalar::constant(static_cast<u64>(b)));
        };
        const Scalar low =
            alu32(AluOp::Add, alu32(AluOp::Mul, alu32(AluOp::Sub, known.num, known.delta), t / s),
                  r.delta);
        Scalar half = kEverything;
        half.bits = {low.bits.value, low.bits.mask | ~u64{0xffffffff}};
        half.r32 = low.r32;
        half.normalize();
        return half;
    }
    if (s == t)
        return plus(known.num,
                    planted(109) ? 0 : static_cast<u64>(r.delta) - static_cast<u64>(known.delta));
    const Scalar sx = plus(known.num, u64{0} - static_cast<u64>(known.delta));
    if (t % s == 0) {
        const Scalar factor = Scalar::constant(static_cast<u64>(t / s));
        return plus(verifier::alu(isa::AluOp::Mul, isa::Width::W64, sx, factor),
                    static_cast<u64>(r.delta));
    }
    if (s % t != 0) return kEverything;
    // (t * x) * (s / t) == s * x without wrapping, so that it may be divided.
    const i64 k = s / t;
    const Scalar tx = plus(r.num, u64{0} - static_cast<u64>(r.delta));
    i64 low, high;
    if (__builtin_mul_overflow(tx.smin(), k, &low) || __builtin_mul_overflow(tx.smax(), k, &high) ||
        sx.smin() == std::numeric_limits<i64>::min())  // which has no negative
        return kEverything;
    low = k > 0 ? -divide_down(-sx.smin(), k) : -divide_down(-sx.smax(), k);
    high = k > 0 ? divide_down(sx.smax(), k) : divide_down(sx.smin(), k);
    if (low > high) return kEverything;
    return plus(Scalar::of_signed_range(low, high), static_cast<u64>(r.delta));
}

}  // namespace

// Whoever shares the scalar's identity learns what it learned.
void Analyzer::spread_scalar(State& s, const Reg& before, const Reg& after) {
    if (before.id == 0) return;
    s.for_each(
        [&](const Reg& r) {
            return r.number_id() == before.id &&
                   !(r.is_scalar() && r.num == after.num && r.delta == after.delta &&
                     r.scale == after.scale && r.low == after.low);
        },
        [&](Reg& r) {
            const Scalar both = r.num.intersect(implied(after, r));
            if (both.empty() || both == r.num) return;
            r.num = both;
            if (r.is_scalar()) {
                r.need = needs_.combine(r.need, after.need);
            } else {
                need(after);  // where a pointer points always counts
            }
        });
}

namespace {

// A comparison's outcome as `left < right` (strict) or `left <= right`; swapped: left is the second
// operand.
struct Order {
    bool swapped, strict;
};
std::optional<Order> order_of(Cond cond, bool outcome) {
    if (cond == Cond::Eq || cond == Cond::Ne || cond == Cond::Set) return std::nullopt;
    const bool less =
        cond == Cond::Lt || cond == Cond::Le || cond == Cond::SLt || cond == Cond::SLe;
    const bool strict =
        cond == Cond::Lt || cond == Cond::Gt || cond == Cond::SLt || cond == Cond::SGt;
    return Order{less != outcome, strict == outcome};
}

}  // namespace

// A number that is found to be less than a length is one, too.
void Analyzer::learn_order(State& s, const isa::Insn& i, bool taken) {
    const std::optional<Order> order = order_of(i.cond(), taken);
    if (!order) return;
    const Reg shorter = s.reg(order->swapped ? i.src : i.dst),
              length = s.reg(order->swapped ? i.dst : i.src);
    if (!length.is_length() || shorter.id == 0 || shorter.low) return;
    // Lengths are signed numbers of 64 bits: others must be the same in any comparison.
    const auto fits = [](const Reg& r) {
        return r.num.umax() <= static_cast<u64>(std::numeric_limits<i32>::max());
    };
    const bool as_they_are = i.is64() && isa::is_signed(i.cond());
    if (!as_they_are && (!fits(shorter) || (!fits(length) && !planted(235)))) return;
    const i64 more = i64{length.off} + (order->strict || planted(236) ? i64{length.size} : 0);
    if (more >= kMaxOffset) return;
    need(length);
    s.for_each(
        [&](const Reg& r) {
            return r.is_scalar() && r.id == shorter.id && r.scale == shorter.scale &&
                   r.delta == shorter.delta && !r.low && !r.is_length();
        },
        [&](Reg& r) {
            need(r);
            r.set_length(length.index, length.size, static_cast<i32>(more));
        });
    learn_lengths(s, shorter);
}

// Whether the operands allow the outcome.
bool Analyzer::possible(const isa::Insn& i, const Reg& dst, const Reg& src, bool taken) const {
    if (!dst.is_scalar() || !src.is_scalar()) return true;
    if (i.form == isa::Form::JmpReg && i.dst == i.src && i.cond() != Cond::Set) {
        const bool always = i.cond() == Cond::Eq || i.cond() == Cond::Ge || i.cond() == Cond::Le ||
                            i.cond() == Cond::SGe || i.cond() == Cond::SLe;
        return always == taken;
    }
    Scalar a = dst.num, b = src.num;
    return refine(i.cond(), i.width, taken, a, b);
}

// Applies a possible outcome to `s`.
void Analyzer::refine_branch(State& s, const isa::Insn& i, bool taken) {
    Reg& dst = s.reg(i.dst);
    const Reg constant = Reg::constant(static_cast<u64>(i.imm));
    const bool by_register = i.form == isa::Form::JmpReg;
    const Reg src = by_register ? s.reg(i.src) : constant;
    if (dst.is_scalar() && src.is_scalar()) {
        if (by_register && i.dst == i.src) return;
        Scalar a = dst.num, b = src.num;
        if (!refine(i.cond(), i.width, taken, a, b)) return;
        const Reg dst_before = dst;
        if (!(a == dst.num)) {
            dst.num = a;
            dst.need = needs_.combine(dst.need, src.need);
            spread_scalar(s, dst_before, Reg(dst));
        }
        if (by_register && !(b == src.num) && !planted(311)) {
            Reg& other = s.reg(i.src);
            other.num = other.num.intersect(b);  // the copies may have been told already
            if (other.num.empty()) other.num = b;
            other.need = needs_.combine(other.need, dst_before.need);
            spread_scalar(s, src, Reg(other));
        }
        learn_length(s, Reg(s.reg(i.dst)));
        learn_lengths(s, dst_before);
        if (!by_register) return;
        learn_length(s, Reg(s.reg(i.src)));
        learn_lengths(s, src);
        learn_order(s, i, taken);
        return;
    }
    refine_pointer(s, i, dst, src, taken);
}

void Analyzer::set_null(State& s, const Reg& pointer, bool null) {
    // A view of a socket that is null says nothing about the socket.
    const u32 id = pointer.id, ref = pointer.is_borrowed() ? 0 : pointer.ref;
    s.for_each([&](const Reg& r) { return r.nullable && (r.id == id || planted(111)); },
               [&](Reg& r) {
                   if (null) {
                       r = Reg::constant(0);
                   } else {
                       r.nullable = false;
                       // Which value it is decides which lock.
                       if (r.kind != Kind::MapValue || map(r.index).spin_lock_offset < 0) r.id = 0;
                   }
               });
    if (null && ref != 0) std::erase(s.refs, ref);
}

// What a comparison of pointers teaches: nullness, and bytes of the packet that are there.
void Analyzer::refine_pointer(State& s, const isa::Insn& i, const Reg& dst_now, const Reg& src_now,
                              bool taken) {
    if (!i.is64()) return;
    Reg p = dst_now, end = src_now;
    Cond cond = i.cond();
    if ((cond == Cond::Eq || cond == Cond::Ne) && p.nullable && end.is_constant() &&
        end.num.value() == 0) {
        set_null(s, p, (cond == Cond::Eq) == taken);
        return;
    }
    if (!is_bounds_check(p, end)) {
        if (!is_bounds_check(end, p) || planted(310)) return;
        std::swap(p, end);
        cond = isa::mirrored(cond);
    }
    bool below = false, at_most = false;
    switch (cond) {
        case Cond::Gt:
            at_most = !taken || planted(211);
            break;
        case Cond::Ge:
            below = !taken;
            break;
        case Cond::Lt:
            below = taken;
            break;
        case Cond::Le:
            at_most = taken;
            break;
        case Cond::Eq:
            at_most = taken;
            break;
        case Cond::Ne:
            at_most = !taken;
            break;
        case Cond::SGt:
        case Cond::SGe:
        case Cond::SLt:
        case Cond::SLe:
        case Cond::Set:
            break;
    }
    // A pointer so far from the start might have wrapped around the address space.
    if (p.off < 0 || p.num.smin() < 0 || p.num.smax() + p.off > 2 * kMaxPacketSize) return;
    const i64 proven = i64{p.off} + (below ? 1 : 0) + (planted(210) ? 2 : 0);
    if (!below && !at_most) return;
    const i64 most = kMaxPacketSize - p.off;
    s.for_each(
        [&](const Reg& r) {
            return r.kind == p.kind && r.id == p.id &&
                   (r.reach() < proven || (p.id != 0 && r.num.smax() > most));
        },
        [&](Reg& r) {
            r.set_reach(std::max(r.reach(), proven));
            if (p.id == 0 || r.num.smax() <= most) return;
            r.num = r.num.intersect(Scalar::of_signed_range(0, std::max<i64>(most, 0)));
        });
    learn_parts(s, p, proven);
}

void Analyzer::note_ways(bool jumps, bool falls_through) {
    ir::InsnFacts& fact = facts_.insns[now_.pc];
    fact.may_jump |= jumps;
    fact.may_fall_through |= falls_through;
}

Step Analyzer::branch(const isa::Insn& i) {
    const bool by_register = i.form == isa::Form::JmpReg;
    if (!readable(i.dst) || (by_register && !readable(i.src))) return Step::Failed;
    const Reg dst = reg(i.dst);
    const Reg src = by_register ? reg(i.src) : Reg::constant(static_cast<u64>(i.imm));
    const u32 target = program_.target[now_.pc], next = now_.pc + 1;

    if (!dst.is_scalar() || !src.is_scalar()) {
        const bool equality = i.cond() == Cond::Eq || i.cond() == Cond::Ne;
        const bool with_zero =
            i.is64() && equality && dst.is_pointer() && src.is_constant() && src.num.value() == 0;
        // An address is never null (but a context without bytes has none); what arithmetic made of
        // it might be, far from any memory.
        const bool moved = dst.off != 0 || !dst.num.is_constant() || dst.num.value() != 0;
        if (with_zero && !dst.nullable && !moved && !is_empty_context(dst)) {
            need(src);
            note_ways(i.cond() == Cond::Ne, i.cond() != Cond::Ne);
            now_.pc = i.cond() == Cond::Ne ? target : next;
            return Step::Continue;
        }
        const bool bounds = i.is64() && (is_bounds_check(dst, src) || is_bounds_check(src, dst));
        if (with_zero && by_register) need(src);
        if (!with_zero && !bounds && !may_leak()) {
            reject(DiagnosticCode::PointerCompare,
                   std::string(name(dst.kind)) + " (" + to_string(dst) + ") is compared with " +
                       name(src.kind) + " (" + to_string(src) + ")");
            return Step::Failed;
        }
    }

    const bool taken_possible = possible(i, dst, src, true),
               not_possible = possible(i, dst, src, false);
    if (taken_possible != not_possible) {
        // The ranges decided it; what they exclude need not be followed for states like this one.
        if (!planted(110)) need(dst);
        need(src);
        refine_branch(now_, i, taken_possible);
        note_ways(taken_possible, not_possible);
        now_.pc = taken_possible ? target : next;
        return Step::Continue;
    }
    note_ways(true, true);
    State other = now_;
    other.pc = target;
    now_.pc = next;
    if (taken_possible) {  // else nothing fits, which says nothing: both ways without refinement
        if (!planted(313)) refine_branch(other, i, true);
        if (!planted(312)) refine_branch(now_, i, false);
    }
    // Round a loop before out of it: what follows is looked at when the loop is closed, and nothing
    // of the loop has to be kept meanwhile.
    if (target <= now_.pc) std::swap(now_, other);
    push(std::move(other));
    return Step::Continue;
}

}  // namespace ebpf::verifier
