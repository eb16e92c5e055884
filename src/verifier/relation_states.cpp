// SPDX-License-Identifier: MIT
//
// Relations (relations.hpp) from state to state: what a checkpoint keeps of them, when a state has
// those of another, and what is left of them where a loop is generalised.
#include <algorithm>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

// What ranges of the single numbers cannot say: of three, or how large two are together.
bool is_sum(const Relation& r) {
    const auto positive = std::ranges::count_if(r.parts(), [](Part p) { return p.factor > 0; });
    return r.count == 3 || (r.count == 2 && positive != 1);
}

// Those relations that some sum leads to.
void keep_sums(Relations& relations) {
    std::vector<u32> led_to;
    const auto all = relations.all();
    std::vector<bool> keep(all.size(), false);
    for (bool grown = true; grown;) {
        grown = false;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const bool linked =
                std::ranges::any_of(led_to, [&](u32 id) { return all[i].mentions(id); });
            if (keep[i] || !(linked || is_sum(all[i]))) continue;
            keep[i] = grown = true;
            for (const Part& p : all[i].parts()) led_to.push_back(p.id);
        }
    }
    std::size_t i = 0;
    relations.erase_if([&](const Relation&) { return !keep[i++]; });
}

// Whether there will be a sum when those numbers are taken out that are not held.
bool leads_to_sum(const Relations& relations, const auto& is_held) {
    const auto all = relations.all();
    const auto only_in = [&](const Relation& r, const Part& p) {
        return std::ranges::none_of(all, [&](const Relation& other) {
            return &other != &r && other.count > 1 && other.mentions(p.id);
        });
    };
    return std::ranges::any_of(all, [&](const Relation& r) {
        if (!is_sum(r)) return false;
        Relation left = r;
        left.count = 0;
        for (const Part& p : r.parts()) {
            if (is_held(p) || !only_in(r, p)) left.sum[left.count++] = p;
        }
        return is_sum(left);
    });
}

}  // namespace

// At a checkpoint, and when there are too many: keeps what is said of numbers that are still there,
// and only where sums are among it.
void Analyzer::settle_relations(State& s) {
    if (s.relations.empty()) return;
    std::vector<u32> held = {s.packet_size};
    const auto hold = [&](const Reg& r) {
        if (!r.num.is_constant()) held.push_back(r.number_id());
    };
    for (std::size_t f = 0; f < s.frames.size(); ++f) {
        const RegSet live = live_in(s, f);
        for (unsigned r = 0; r < isa::kFramePointer; ++r) {
            if (live >> r & 1) hold(s.frames[f].regs[r]);
        }
        for (const Cell& c : s.frames[f].stack->cells) hold(c.reg);
    }
    const auto is_held = [&](const Part& p) { return std::ranges::find(held, p.id) != held.end(); };
    const auto one_gone = [&] {
        for (const Relation& r : s.relations.all()) {
            const auto gone = std::ranges::find_if_not(r.parts(), is_held);
            if (gone != r.parts().end()) return gone->id;
        }
        return u32{0};
    };
    if (!leads_to_sum(s.relations, is_held)) return s.relations.clear();
    keep_sums(s.relations);
    for (u32 gone = one_gone(); gone != 0; gone = one_gone()) {
        for (const auto& [e, equal, needs] : s.relations.take_out(gone)) {
            if (!equal && at_most(e, ranges_of(s)).most <= 0) continue;
            s.relations.insert(e, equal,
                               planted(243) ? needs[0] : needs_.combine(needs[0], needs[1]));
        }
    }
    keep_sums(s.relations);
    // Registers say it.
    const Ranges& registers = ranges_of(s, true);
    s.relations.erase_if([&](const Relation& r) {
        return r.count == 1 && !r.equal && at_most(r.excess(), registers).most <= 0;
    });
}

// The excess of the old state's relation in terms of the new one's identities: not valid when it
// has none for one, or when the form of one might wrap. ranges_ are those of the new state.
Expression Analyzer::translated(const CoverQuery& query, const KeptState& old, const State& now,
                                const Relation& r, Needs& needs) {
    Expression out;
    out.add(-r.most);
    const auto take = [&](u32 id, i64 factor) {
        if (id == 0 || !is_small_value(now, id, needs)) return out.invalidate();
        out.add(id, factor);
    };
    for (const Part& p : r.parts()) {
        if (p.id == old.packet_size) {
            take(now.packet_size, p.factor);
            continue;
        }
        if (p.id < query.identity_below) {
            take(p.id, p.factor);
            continue;
        }
        const auto m = std::ranges::find(query.ids, p.id, &CoverQuery::Meaning::old);
        if (m == query.ids.end() || m->now < 0 || !is_small(m->difference) || !is_small(m->factor))
            out.invalidate();
        if (!out.valid()) return out;
        if (m->factor != 0) take(static_cast<u32>(m->now), m->factor * p.factor);
        out.add(planted(249) ? 0 : m->difference * p.factor);
    }
    return out;
}

// Whether what the old state says of several numbers, as far as it mattered, holds in the new one.
bool Analyzer::covers_relations(const CoverQuery& query, const KeptState& old, const State& now) {
    covered_by_.clear();
    if (old.relations.empty() || planted(241)) return true;
    ranges_of(now);
    for (const Relation& r : old.relations.all()) {
        if (!query.exact && !needs_.marked(r.need)) continue;
        const Expression up = translated(query, old, now, r, covered_by_);
        for (const Expression& e : {up, negated(up)}) {
            const Proof proof = now.relations.at_most(e, ranges_, 0);
            if (proof.most > 0) return false;
            std::ranges::copy(proof.relies_on(), std::back_inserter(covered_by_));
            if (!r.equal || planted(250)) break;
        }
    }
    return true;
}

namespace {

// What holds before and after a round, said of the general state's numbers.
class WidenedRelations {
  public:
    WidenedRelations(const std::vector<WidenedNumber>& numbers, const State& before,
                     const Ranges& ranges_before, const State& now, const Ranges& ranges_now)
        : numbers_(numbers), was_{before, ranges_before}, is_{now, ranges_now} {}

    // The most that the general state's expression is in either of the two.
    i64 most(const Expression& e, i64 enough) const {
        const i64 before = was_.most(in(e, false), enough);
        if (before > enough && enough != -kUnlimited) return before;
        return std::max(before, is_.most(in(e, true), enough));
    }
    bool hold(const Expression& e, bool equal) const {
        return most(e, 0) <= 0 && (!equal || most(negated(e), 0) <= 0);
    }
    // A number of before, and those that have come out of it.
    std::vector<u32> heirs(u32 id) const {
        std::vector<u32> out = {id};
        for (const WidenedNumber& n : numbers_) {
            const auto parts = n.was.parts();
            if (n.was.valid() && n.was.constant() == 0 && parts.size() == 1 &&
                parts[0] == Part{id, 1} && out.size() < 3)
                out.push_back(n.id);
        }
        return out;
    }

  private:
    struct Side {
        const State& state;
        const Ranges& ranges;
        i64 most(const Expression& e, i64 enough) const {
            return state.relations.at_most(e, ranges, enough).most;
        }
        bool is_small_value(u32 id) const {
            Expression e;
            e.add(id, 1);
            return most(e, kSmall) <= kSmall && most(negated(e), kSmall) <= kSmall;
        }
    };

    // In terms of the state before the round, or after it.
    Expression in(const Expression& e, bool after) const {
        const Side& side = after ? is_ : was_;
        Expression out;
        out.add(e.constant());
        if (!e.valid()) out.invalidate();
        for (const Part& p : e.parts()) {
            const auto n = std::ranges::find(numbers_, p.id, &WidenedNumber::id);
            Expression value;
            if (n == numbers_.end()) {
                value.add(p.id, 1);
            } else {
                value = after ? n->is : n->was;
            }
            const bool plain =
                is_small(value.constant()) && std::ranges::all_of(value.parts(), [&](Part q) {
                    return side.is_small_value(q.id);
                });
            if (!plain) out.invalidate();
            out.add(value, p.factor);
        }
        return out;
    }

    const std::vector<WidenedNumber>& numbers_;
    Side was_, is_;
};

// The number that counts rounds from 0.
const WidenedNumber* counter(const std::vector<WidenedNumber>& numbers) {
    const auto is = [](const Expression& e, i64 value) {
        return e.valid() && e.parts().empty() && e.constant() == value;
    };
    const auto n = std::ranges::find_if(
        numbers, [&](const WidenedNumber& x) { return is(x.was, 0) && is(x.is, 1); });
    return n == numbers.end() ? nullptr : &*n;
}

}  // namespace

// That `out` stands for `now` decides; `before` only tells what is likely to last.
void Analyzer::widen_relations(const State& before, const State& now, State& out,
                               const std::vector<WidenedNumber>& numbers, bool first) {
    const Ranges ranges_before = ranges_of(before), ranges_now = ranges_of(now);
    const WidenedRelations round(numbers, before, ranges_before, now, ranges_now);
    out.relations.clear();
    // Their needs are the path's own, which are marked (rounds.cpp).
    const auto keep = [&](const Expression& e, bool equal) {
        if (round.hold(e, equal)) out.relations.insert(e, equal, 0);
    };
    const auto keep_for_heirs = [&](const auto& self, const Relation& r, const Expression& so_far,
                                    std::size_t part) -> void {
        if (part == r.count) return keep(so_far, r.equal);
        for (const u32 id : round.heirs(r.sum[part].id)) {
            Expression e = so_far;
            e.add(id, r.sum[part].factor);
            self(self, r, e, part + 1);
        }
    };
    for (const Relation& r : before.relations.all()) {
        Expression e;
        e.add(-r.most);
        keep_for_heirs(keep_for_heirs, r, e, 0);
    }
    const WidenedNumber* const rounds = counter(numbers);
    if (rounds == nullptr || !first) return;
    // What changed by a constant in every round.
    for (const WidenedNumber& n : numbers) {
        Expression e = n.is;
        e.add(n.was, -1);
        if (!e.valid() || !e.parts().empty() || n.id == rounds->id) continue;
        const i64 change = e.constant();
        e = negated(n.was);
        e.add(n.id, 1);
        e.add(rounds->id, -change);
        keep(e, true);
    }
    // What the counter has not yet reached, for which that is known of every round.
    for (std::size_t f = 0; f < now.frames.size(); ++f) {
        const RegSet live = live_in(now, f);
        for (unsigned i = 0; i < isa::kFramePointer; ++i) {
            const Reg &was = before.frames[f].regs[i], &is = now.frames[f].regs[i];
            if (!(live >> i & 1) || !was.is_scalar() || was.id != is.id || was.num.is_constant() ||
                is.num.is_constant() || !is_linear(was) || !is_linear(is) ||
                was.num.smin() >= is.num.smin())
                continue;
            Expression e = negated(expression(is));
            e.add(rounds->id, 1);
            const i64 most = round.most(e, -kUnlimited);
            if (most == kUnlimited) continue;
            e.add(-most);
            keep(e, false);
        }
    }
}

}  // namespace ebpf::verifier
