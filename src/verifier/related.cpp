// SPDX-License-Identifier: MIT
//
// Relations (relations.hpp) along a path: made by sums and comparisons, and asked when ranges alone
// do not prove an access.
//
// Whatever is found from the range of a register or from another relation is found from its need,
// too; so what a checkpoint's paths relied on is marked there (needs.hpp). That a number's form did
// not wrap is such a finding.
#include <algorithm>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

constexpr i64 kLargestScale = 1 << 10;

u32 need_of(const Reg& r) {
    return r.is_scalar() ? r.need : 0;  // where a pointer points always counts
}

}  // namespace

// What live registers and relations of one number say. What a dead register holds, or stack that is
// not read, may differ in a state that this one stands for (cover.cpp).
const Ranges& Analyzer::ranges_of(const State& s, bool of_registers_only) {
    ranges_.clear();
    ranges_.learn(s.packet_size, 0, kSmall - 1, 0);
    for (const Relation& r : s.relations.all()) {
        if (r.count != 1 || of_registers_only) continue;
        const Part& p = r.sum[0];
        if (p.factor == 1) ranges_.learn(p.id, r.equal ? r.most : -kUnlimited, r.most, r.need);
        if (p.factor == -1) ranges_.learn(p.id, -r.most, r.equal ? -r.most : kUnlimited, r.need);
    }
    for (std::size_t f = 0; f < s.frames.size(); ++f) {
        const RegSet live = live_in(s, f);
        for (unsigned i = 0; i < isa::kFramePointer; ++i) {
            const Reg& r = s.frames[f].regs[i];
            if ((live >> i & 1) && !r.num.is_constant()) learn_from(ranges_, r, need_of(r));
        }
    }
    return ranges_;
}

// The identity's value is a small number; ranges_ are those of `s`.
bool Analyzer::is_small_value(const State& s, u32 id, Needs& needs) {
    Expression e;
    e.add(id, 1);
    for (const Expression& side : {e, negated(e)}) {
        const Proof proof = s.relations.at_most(side, ranges_, kSmall);
        if (proof.most > kSmall) return false;
        std::ranges::copy(proof.relies_on(), std::back_inserter(needs));
    }
    return true;
}

// Adds factor * (the number of `r`) to the expression.
void Analyzer::add_number(const State& s, Expression& e, const Reg& r, i64 factor, Needs& needs) {
    needs.push_back(need_of(r));
    const Expression simple = expression(r);
    if (simple.valid()) return e.add(simple, factor);
    const bool product = r.number_id() != 0 && !r.low && is_small(r.delta) &&
                         r.scale <= kLargestScale && r.scale >= -kLargestScale &&
                         !r.num.is_constant();
    if (!product || !is_small_value(s, r.number_id(), needs)) return e.invalidate();
    e.add(r.number_id(), r.scale * factor);
    e.add(r.delta * factor);
}

void Analyzer::rely_on(const Needs& needs, const Proof& proof) {
    for (const u32 n : needs) needs_.mark(n);
    for (const u32 n : proof.relies_on()) needs_.mark(n);
}

u32 Analyzer::made_of(const Proof& proof) {
    u32 all = 0;
    for (const u32 n : proof.relies_on()) all = needs_.combine(all, n);
    return all;
}

// What is said of numbers that are gone makes room.
void Analyzer::relate(State& s, const Expression& e, bool equal, u32 need) {
    if (!e.valid()) return;
    if (s.relations.full()) settle_relations(s);
    s.relations.insert(e, equal, need);
}

// The range of a number that a relation is about outlives the register.
void Analyzer::keep_range(State& s, const Reg& r) {
    if (s.relations.empty() || r.num.is_constant() || !is_linear(r) ||
        !s.relations.mention(r.number_id()))
        return;
    // x <= high and -x <= -low, of the identity's value x.
    for (const i64 sign : {1, -1}) {
        Expression e = expression(r);
        e.add(sign == 1 ? -r.num.smax() : -r.num.smin());
        relate(s, sign == 1 ? e : negated(e), false, need_of(r));
    }
}

// `sum` is a + b, or a - b, as 64 bits compute it, which was found from `need`.
void Analyzer::note_sum(const Reg& sum, const Reg& a, const Reg& b, bool subtract, u32 need) {
    const Claim claim = claim_of_sum(sum, a, b, subtract);
    if (claim.kind == Claim::Kind::None || sum.num.is_constant()) return;
    const u32 all = needs_.combine(need, needs_.combine(need_of(a), need_of(b)));
    relate(now_, claim.e, true, all);
    keep_range(now_, a);
    keep_range(now_, b);
}

// What relations say of a + b, or a - b, beyond `sum`; false when it is nothing new.
bool Analyzer::sharpen_sum(Scalar& sum, u32& need, const Reg& a, const Reg& b, bool subtract) {
    Expression up = expression(a);
    up.add(expression(b), subtract ? -1 : 1);
    if (!up.valid() || !now_.relations.mention_any_of(up)) return false;
    const Ranges& ranges = ranges_of(now_);
    const Proof most = now_.relations.at_most(up, ranges, -kUnlimited),
                least = now_.relations.at_most(negated(up), ranges, -kUnlimited);
    if (most.most == kUnlimited || least.most == kUnlimited || -least.most > most.most)
        return false;
    const Scalar both = sum.intersect(Scalar::of_signed_range(-least.most, most.most));
    if (both.empty() || both == sum) return false;
    sum = both;
    need = needs_.combine(made_of(most), made_of(least));
    return true;
}

// `part` was made by taking from `whole`: some of its bits, a quotient, a remainder.
void Analyzer::note_part(const Reg& part, const Reg& whole) {
    if (now_.relations.empty() || !now_.relations.mention(whole.number_id())) return;
    const Claim claim = claim_of_part(part, whole);
    if (claim.kind == Claim::Kind::None) return;
    relate(now_, claim.e, false, whole.need);
    keep_range(now_, whole);
}

// What the outcome of a comparison of two numbers, whose ranges have been told already, says of
// both together.
void Analyzer::note_order(State& s, const isa::Insn& i, bool outcome) {
    const Reg &a = s.reg(i.dst), &b = s.reg(i.src);
    const Claim claim = claim_of_order(i.cond(), i.width, outcome, a, b);
    const u32 need = planted(244) ? 0 : needs_.combine(a.need, b.need);
    switch (claim.kind) {
        case Claim::Kind::None:
            return;
        case Claim::Kind::AtMost:
        case Claim::Kind::Equal:
            relate(s, claim.e, claim.kind == Claim::Kind::Equal, need);
            return;
        case Claim::Kind::NotEqual:
            break;
    }
    // Of two that are not equal one is the less, if it is known which.
    if (!s.relations.mention_any_of(claim.e)) return;
    for (Expression e : {claim.e, negated(claim.e)}) {
        const Proof proof = s.relations.at_most(e, ranges_of(s), 0);
        if (proof.most > (planted(245) ? 1 : 0)) continue;
        e.add(1);
        relate(s, e, false, needs_.combine(need, made_of(proof)));
        return;
    }
}

// Whoever a relation has to do with `r`, of which more is known now, learns what follows from the
// ranges of the others.
void Analyzer::learn_related(State& s, const Reg& r) {
    if (r.number_id() == 0 || !s.relations.mention(r.number_id())) return;
    const auto learn = [&](const Part& p, const Expression& excess, u32 made_of) {
        if (p.id == r.number_id() || p.id == s.packet_size || (p.factor != 1 && p.factor != -1))
            return;
        // factor * value <= what is left of the excess without it, negated.
        Expression rest = negated(excess);
        rest.add(p.id, p.factor);
        const bool negative = p.factor == -1;
        const Proof proof = at_most(rest, ranges_of(s));
        const UpperBound now = ranges_.most(p.id, negative), other = ranges_.most(p.id, !negative);
        if (proof.most >= now.most || other.most == kUnlimited || -other.most > proof.most) return;
        Reg known = Reg::scalar(negative ? Scalar::of_signed_range(-proof.most, other.most)
                                         : Scalar::of_signed_range(-other.most, proof.most),
                                p.id);
        known.need = needs_.combine(needs_.combine(made_of, other.need), this->made_of(proof));
        spread_scalar(s, known, known);
        learn_lengths(s, known);
    };
    for (const Relation& relation : s.relations.all()) {
        if (relation.count == 1 || !relation.mentions(r.number_id())) continue;
        const Expression excess = relation.excess();
        for (const Part& p : relation.parts()) learn(p, excess, relation.need);
        if (!relation.equal) continue;
        const Expression other = negated(excess);
        for (const Part& p : other.parts()) learn(p, other, relation.need);
    }
}

// The variable part of the pointer, as exactly as relations tell.
void Analyzer::sharpen(Reg& pointer) {
    ranges_of(now_);
    Needs needs;
    Expression up;
    add_number(now_, up, pointer, 1, needs);
    if (!up.valid()) return;
    const Proof most = now_.relations.at_most(up, ranges_, -kUnlimited),
                least = now_.relations.at_most(negated(up), ranges_, -kUnlimited);
    i64 low = pointer.num.smin(), high = pointer.num.smax();
    if (most.most < high) {
        high = most.most;
        rely_on(needs, most);
    }
    if (least.most != kUnlimited && -least.most > low) {
        low = -least.most;
        rely_on(needs, least);
    }
    if (low > high) return;  // no state is like this one
    const Scalar both = pointer.num.intersect(Scalar::of_signed_range(low, high));
    if (!both.empty()) pointer.num = both;
}

// The size of the memory that `base` points into, when that is known and its offsets start with 0;
// of the stack, what is behind the frame's end.
i64 Analyzer::region_size(const Reg& base) const {
    switch (base.kind) {
        case Kind::Stack:
            return 0;
        case Kind::MapValue:
            return map(base.index).value_size;
        case Kind::Memory:
            return base.size;
        default:
            return -1;
    }
}

// Before `size` bytes at base + off are accessed: what ranges do not prove of the place.
void Analyzer::sharpen_for(Reg& base, i64 off, i64 size) {
    const i64 end = region_size(base);
    if (end < 0 || now_.relations.empty() || base.num.is_constant()) return;
    const i64 fixed = i64{base.off} + off, start = base.kind == Kind::Stack ? -isa::kStackSize : 0;
    if (base.num.smin() + fixed < start || base.num.smax() + fixed + size > end) sharpen(base);
}

// The packet has `size` more bytes behind base + fixed.
bool Analyzer::ends_in_packet(const Reg& base, i64 fixed, const Reg& size) {
    if (base.kind != Kind::Packet || now_.relations.empty()) return false;
    ranges_of(now_);
    Needs needs;
    Expression e;
    add_number(now_, e, base, 1, needs);
    add_number(now_, e, size, 1, needs);
    e.add(now_.packet_size, -1);
    e.add(fixed);
    if (planted(246)) e.add(-1);
    const Proof proof = now_.relations.at_most(e, ranges_, 0);
    if (proof.most > 0) return false;
    rely_on(needs, proof);
    return true;
}

// The packet has that many bytes from data + the pointer's variable part on.
void Analyzer::note_in_packet(State& s, const Reg& pointer, i64 bytes) {
    if (pointer.kind != Kind::Packet || pointer.num.is_constant()) return;
    Expression e = expression(pointer);
    if (!e.valid()) return;
    e.add(s.packet_size, -1);
    e.add(bytes);
    relate(s, e, false, 0);
    keep_range(s, pointer);
}

// Up to `size` bytes are accessed behind `base`: how many at most behind its farthest place.
u64 Analyzer::most_behind(Reg& base, const Reg& size) {
    const u64 alone = size.num.umax();
    if (now_.relations.empty() || alone >= static_cast<u64>(kSmall)) return alone;
    if (base.kind == Kind::Packet && base.off >= 0 &&
        base.reach() < base.off + static_cast<i64>(alone) && ends_in_packet(base, base.off, size)) {
        base.set_reach(std::max(base.reach(), i64{base.off}));
        return 0;
    }
    const i64 end = region_size(base);
    if (end < 0) return alone;
    sharpen_for(base, 0, static_cast<i64>(alone));
    if (base.num.smax() + base.off + static_cast<i64>(alone) <= end) return alone;
    ranges_of(now_);
    Needs needs;
    Expression both;
    add_number(now_, both, base, 1, needs);
    add_number(now_, both, size, 1, needs);
    const Proof proof = now_.relations.at_most(both, ranges_, end - base.off);
    if (proof.most == kUnlimited) return alone;
    const i64 left = std::max<i64>(proof.most - base.num.smax() - (planted(248) ? 1 : 0), 0);
    if (static_cast<u64>(left) >= alone) return alone;
    rely_on(needs, proof);
    return static_cast<u64>(left);
}

}  // namespace ebpf::verifier
