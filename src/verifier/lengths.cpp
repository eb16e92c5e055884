// SPDX-License-Identifier: MIT
//
// Lengths: numbers of which it is known that the packet is long enough for them (Reg::is_length),
// because data_end minus a pointer gave them, because a pointer moved by them was compared with
// the end, or because they are less than such a number.
#include <algorithm>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

using isa::Cond;

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
        const bool live = (flow_.live[branch_at_] >> r & 1) || planted(239);
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

}  // namespace ebpf::verifier
