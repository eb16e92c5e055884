// SPDX-License-Identifier: MIT
#include "verifier/relations.hpp"

#include <algorithm>

#include "verifier/state.hpp"

namespace ebpf::verifier {

namespace {

constexpr i64 kLargestFactor = 1 << 12;
constexpr i64 kMaxConstant = i64{1} << 50;
constexpr int kMaxDepth = 3;  // relations in one proof

}  // namespace

void Expression::add(i64 constant) {
    valid_ &= !__builtin_add_overflow(constant_, constant, &constant_) &&
              constant_ < kMaxConstant && constant_ > -kMaxConstant;
}

void Expression::add(u32 id, i64 factor) {
    if (factor == 0) return;
    Part* const end = parts_.data() + count_;
    Part* const p = std::find_if(parts_.data(), end, [&](const Part& q) { return q.id == id; });
    i64 sum = p == end ? factor : 0;
    valid_ &= !(p != end && __builtin_add_overflow(i64{p->factor}, factor, &sum)) &&
              sum <= kLargestFactor && sum >= -kLargestFactor &&
              !(p == end && count_ == parts_.size());
    if (!valid_) return;
    if (p == end) ++count_;
    *p = {id, static_cast<i32>(sum)};
    if (sum == 0) *p = parts_[--count_];
}

void Expression::add(const Expression& e, i64 times) {
    i64 more;
    valid_ &= e.valid_ && !__builtin_mul_overflow(e.constant_, times, &more) &&
              times <= kLargestFactor && times >= -kLargestFactor;
    if (!valid_) return;
    for (const Part& p : e.parts()) add(p.id, p.factor * times);
    add(more);
}

Expression negated(const Expression& e) {
    Expression out;
    out.add(e, -1);
    return out;
}

bool Relation::mentions(u32 id) const {
    return std::ranges::find(parts(), id, &Part::id) != parts().end();
}

Expression Relation::excess() const {
    Expression e;
    for (const Part& p : parts()) e.add(p.id, p.factor);
    e.add(-most);
    return e;
}

// Of several sources the tightest is relied on; of equal ones the oldest, whatever register it is
// in.
void Ranges::learn(u32 id, i64 least, i64 most, u32 need) {
    auto range = std::ranges::find(all_, id, &Range::id);
    if (range == all_.end()) range = all_.insert(all_.end(), Range{id, {}});
    const auto take = [&](UpperBound& bound, i64 value) {
        if (value < bound.most || (value == bound.most && need < bound.need)) bound = {value, need};
    };
    if (is_small(most)) take(range->most[0], most);
    if (is_small(least)) take(range->most[1], -least);
}

UpperBound Ranges::most(u32 id, bool negative) const {
    const auto range = std::ranges::find(all_, id, &Range::id);
    return range == all_.end() ? UpperBound{} : range->most[negative ? 1 : 0];
}

bool Relations::mention(u32 id) const {
    return std::ranges::any_of(all_, [&](const Relation& r) { return r.mentions(id); });
}

bool Relations::mention_any_of(const Expression& e) const {
    return std::ranges::any_of(e.parts(), [&](const Part& p) { return mention(p.id); });
}

void Relations::insert(const Expression& e, bool equal, u32 need) {
    if (!e.valid() || e.parts().empty() || e.parts().size() > Relation{}.sum.size()) return;
    Relation r;
    std::ranges::copy(e.parts(), r.sum.begin());
    r.count = static_cast<u8>(e.parts().size());
    std::sort(r.sum.begin(), r.sum.begin() + r.count,
              [](const Part& a, const Part& b) { return a.id < b.id; });
    r.most = -e.constant();
    r.equal = equal;
    r.need = planted(41) ? 0 : need;
    for (Relation& old : all_) {
        if (!std::ranges::equal(old.parts(), r.parts())) continue;
        if (!old.equal && (equal || r.most < old.most)) old = r;
        return;
    }
    if (full()) all_.erase(all_.begin());
    if (all_.capacity() == 0) all_.reserve(kMost);
    all_.push_back(r);
}

Proof at_most(const Expression& e, const Ranges& ranges) {
    Proof proof;
    if (!e.valid()) return proof;
    i64 sum = e.constant();
    for (const Part& p : e.parts()) {
        const UpperBound bound = ranges.most(p.id, p.factor < 0);
        if (bound.most == kUnlimited) return {};
        sum += (p.factor < 0 ? -i64{p.factor} : i64{p.factor}) * bound.most;
        proof.rely_on(bound.need);
    }
    proof.most = sum;
    return proof;
}

// With the help of up to `depth` relations: whatever multiple of a relation's excess is taken away
// from an expression, no less is left.
Proof Relations::at_most(const Expression& e, const Ranges& ranges, i64 enough, int depth) const {
    Proof best = verifier::at_most(e, ranges);
    if (depth == 0 || !e.valid() || best.most <= enough) return best;
    for (const Relation& r : all_) {
        if (r.count == 1) continue;  // among the ranges
        for (const Part& known : r.parts()) {
            const auto p = std::ranges::find(e.parts(), known.id, &Part::id);
            if (p == e.parts().end() || p->factor % known.factor != 0) continue;
            const i64 times = p->factor / known.factor;
            if (times < 0 && !r.equal && !planted(42)) continue;
            Expression rest = e;
            rest.add(r.excess(), -times);
            if (planted(43)) rest.add(-1);
            Proof proof = at_most(rest, ranges, enough, depth - 1);
            if (proof.most >= best.most) continue;
            best = proof;
            best.rely_on(r.need);
            if (best.most <= enough) return best;
        }
    }
    return best;
}

Proof Relations::at_most(const Expression& e, const Ranges& ranges, i64 enough) const {
    if (enough != -kUnlimited) {  // the shortest proof relies on least
        for (int depth = 0; depth < kMaxDepth; ++depth) {
            Proof proof = at_most(e, ranges, enough, depth);
            if (proof.most <= enough) return proof;
        }
    }
    return at_most(e, ranges, enough, kMaxDepth);
}

std::vector<Relations::Consequence> Relations::take_out(u32 id) {
    struct Side {
        Expression e;
        i64 factor;
        const Relation* from;
    };
    std::vector<Side> above, below;
    for (const Relation& r : all_) {
        const auto p = std::ranges::find(r.parts(), id, &Part::id);
        if (p == r.parts().end()) continue;
        const i64 factor = p->factor < 0 ? -i64{p->factor} : i64{p->factor};
        (p->factor > 0 ? above : below).push_back({r.excess(), factor, &r});
        if (r.equal) (p->factor > 0 ? below : above).push_back({negated(r.excess()), factor, &r});
    }
    std::vector<Consequence> out;
    for (const Side& a : above) {
        for (const Side& b : below) {
            if (a.from == b.from) continue;
            Expression e;
            e.add(a.e, b.factor);
            e.add(b.e, planted(44) ? 1 : a.factor);
            out.push_back({e, a.from->equal && b.from->equal, {a.from->need, b.from->need}});
        }
    }
    erase_if([&](const Relation& r) { return r.mentions(id); });
    return out;
}

bool is_linear(const Reg& r) {
    return r.number_id() != 0 && !r.low && (r.scale == 1 || r.scale == -1) &&
           is_small(r.num.smin()) && is_small(r.num.smax()) && is_small(r.delta);
}

Expression expression(const Reg& r) {
    Expression e;
    if (r.num.is_constant() && is_small(static_cast<i64>(r.num.value()))) {
        e.add(static_cast<i64>(r.num.value()));
    } else if (is_linear(r) && !r.num.is_constant()) {
        e.add(r.number_id(), r.scale);
        e.add(planted(45) ? 0 : r.delta);
    } else {
        e.invalidate();
    }
    return e;
}

void learn_from(Ranges& ranges, const Reg& r, u32 need) {
    if (!is_linear(r)) return;
    const i64 low = r.num.smin() - r.delta, high = r.num.smax() - r.delta;
    ranges.learn(r.number_id(), r.scale == 1 ? low : -high, r.scale == 1 ? high : -low, need);
}

namespace {

bool is_variable(const Reg& r) {
    return is_linear(r) && !r.num.is_constant();
}

Expression difference(const Reg& a, const Reg& b) {
    Expression e = expression(a);
    e.add(expression(b), -1);
    return e;
}

}  // namespace

Claim claim_of_sum(const Reg& sum, const Reg& a, const Reg& b, bool subtract) {
    if (!is_variable(a) || !is_variable(b) || sum.number_id() == 0 || sum.low || sum.scale != 1 ||
        sum.delta != 0)
        return {};
    Expression e;
    e.add(sum.number_id(), 1);
    e.add(expression(a), -1);
    e.add(expression(b), subtract && !planted(46) ? 1 : -1);
    return {e, Claim::Kind::Equal};
}

Claim claim_of_part(const Reg& part, const Reg& whole) {
    if (!is_variable(part) || !is_variable(whole) || part.num.smin() < 0 || whole.num.smin() < 0)
        return {};
    return {difference(part, whole), Claim::Kind::AtMost};
}

// In the order of signed numbers of 64 bits, if both numbers are the same there.
Claim claim_of_order(isa::Cond cond, isa::Width width, bool outcome, const Reg& a, const Reg& b) {
    using isa::Cond;
    if (!is_variable(a) || !is_variable(b) || a.number_id() == b.number_id() || cond == Cond::Set)
        return {};
    const bool wide = width == isa::Width::W64, with_sign = isa::is_signed(cond);
    const i64 least = !with_sign ? 0 : wide ? -kSmall : std::numeric_limits<i32>::min();
    const i64 most = wide        ? kSmall
                     : with_sign ? std::numeric_limits<i32>::max()
                                 : std::numeric_limits<u32>::max();
    const auto fits = [&](const Reg& r) {
        return (r.num.smin() >= least || planted(47)) && (r.num.smax() <= most || planted(48));
    };
    if (!fits(a) || !fits(b)) return {};
    if (cond == Cond::Eq || cond == Cond::Ne) {
        return {difference(a, b),
                (cond == Cond::Eq) == outcome ? Claim::Kind::Equal : Claim::Kind::NotEqual};
    }
    const bool less =
        cond == Cond::Lt || cond == Cond::Le || cond == Cond::SLt || cond == Cond::SLe;
    const bool strict =
        cond == Cond::Lt || cond == Cond::Gt || cond == Cond::SLt || cond == Cond::SGt;
    Expression e = less == outcome ? difference(a, b) : difference(b, a);
    if (strict == outcome || planted(49)) e.add(1);
    return {e, Claim::Kind::AtMost};
}

}  // namespace ebpf::verifier
