// SPDX-License-Identifier: MIT
#include "oracles/relation_oracle.hpp"

#include <algorithm>
#include <limits>
#include <random>

#include "isa/semantics.hpp"
#include "operations.hpp"
#include "verifier/relations.hpp"
#include "verifier/state.hpp"

namespace ebpf::verifier::oracle {

namespace {

using Wide = __int128;
constexpr u32 kIds = 3;  // 1 .. 3
constexpr i64 kLimit = 2;
using Values = std::array<i64, kIds + 1>;

Wide value_of(const Expression& e, const Values& v) {
    Wide sum = e.constant();
    for (const Part& p : e.parts()) sum += Wide{p.factor} * v[p.id];
    return sum;
}

std::string describe(const Expression& e) {
    std::string text;
    for (const Part& p : e.parts())
        text += std::to_string(p.factor) + " * #" + std::to_string(p.id) + " + ";
    return text + std::to_string(e.constant());
}

std::string describe(const Values& v) {
    return std::to_string(v[1]) + ", " + std::to_string(v[2]) + ", " + std::to_string(v[3]);
}

// A statement that is told to the domain; its need is its number.
struct Fact {
    Expression e;
    bool equal = false;
    bool holds(const Values& v) const {
        const Wide value = value_of(e, v);
        return equal ? value == 0 : value <= 0;
    }
};

std::vector<Values> all_values() {
    std::vector<Values> out;
    for (i64 a = -kLimit; a <= kLimit; ++a) {
        for (i64 b = -kLimit; b <= kLimit; ++b) {
            for (i64 c = -kLimit; c <= kLimit; ++c) out.push_back({0, a, b, c});
        }
    }
    return out;
}

Expression expression_of(i64 a, i64 b, i64 c, i64 constant) {
    Expression e;
    e.add(1, a);
    e.add(2, b);
    e.add(3, c);
    e.add(constant);
    return e;
}

class Trial {
  public:
    explicit Trial(const std::vector<Fact>& facts) : facts_(facts) {
        u32 need = 0;
        for (const Fact& f : facts) {
            ++need;
            relations_.insert(f.e, f.equal, need);
            // A range of a single identity.
            if (f.e.parts().size() == 1 && (f.e.parts()[0].factor == 1)) {
                const i64 most = -f.e.constant();
                ranges_.learn(f.e.parts()[0].id, f.equal ? most : -kUnlimited, most, need);
            } else if (f.e.parts().size() == 1 && f.e.parts()[0].factor == -1) {
                const i64 least = f.e.constant();
                ranges_.learn(f.e.parts()[0].id, least, f.equal ? least : kUnlimited, need);
            }
        }
    }

    // What is kept is true, and no more than was told.
    std::string kept(const Values& v, Count& count) const {
        for (const Relation& r : relations_.all()) {
            ++count.checks;
            const Wide value = value_of(r.excess(), v);
            if ((r.equal ? value == 0 : value <= 0) || !relied_hold({r.need}, v)) continue;
            return "kept " + describe(r.excess()) + " is wrong at " + describe(v);
        }
        return "";
    }
    std::string proves(const Expression& e, const std::vector<Values>& all, Count& count) const {
        const Proof proof = relations_.at_most(e, ranges_, -kUnlimited);
        if (proof.most == kUnlimited) return "";
        std::vector<u32> needs(proof.relies_on().begin(), proof.relies_on().end());
        for (const Values& v : all) {
            ++count.checks;
            if (value_of(e, v) > proof.most && relied_hold(needs, v))
                return describe(e) + " <= " + std::to_string(proof.most) + " is wrong at " +
                       describe(v);
        }
        return "";
    }
    std::string without(u32 id, const std::vector<Values>& all, Count& count) const {
        Relations rest = relations_;
        for (const auto& [e, equal, needs] : rest.take_out(id)) {
            if (!e.valid()) continue;
            const bool there = std::ranges::find(e.parts(), id, &Part::id) != e.parts().end();
            if (there) return "#" + std::to_string(id) + " is still in " + describe(e);
            for (const Values& v : all) {
                ++count.checks;
                const Wide value = value_of(e, v);
                if ((equal ? value != 0 : value > 0) && relied_hold({needs[0], needs[1]}, v))
                    return "without #" + std::to_string(id) + ": " + describe(e) +
                           (equal ? " == 0" : " <= 0") + " is wrong at " + describe(v);
            }
        }
        if (rest.mention(id)) return "#" + std::to_string(id) + " is still mentioned";
        return "";
    }

  private:
    bool relied_hold(const std::vector<u32>& needs, const Values& v) const {
        return std::ranges::all_of(needs, [&](u32 n) { return n == 0 || facts_[n - 1].holds(v); });
    }
    const std::vector<Fact>& facts_;
    Relations relations_;
    Ranges ranges_;
};

}  // namespace

std::string pairs_of_relations(u32 stride, Count& count) {
    const std::vector<Values> all = all_values();
    std::vector<Fact> facts;
    std::vector<Expression> asked;
    for (i64 a = -1; a <= 1; ++a) {
        for (i64 b = -1; b <= 1; ++b) {
            for (i64 c = -1; c <= 1; ++c) {
                if (a == 0 && b == 0 && c == 0) continue;
                asked.push_back(expression_of(a, b, c, 0));
                for (i64 constant = -1; constant <= 1; ++constant) {
                    for (const bool equal : {false, true})
                        facts.push_back({expression_of(a, b, c, constant), equal});
                }
            }
        }
    }
    // All values are in these ranges.
    std::vector<Fact> known;
    for (u32 id = 1; id <= kIds; ++id) {
        for (const i64 sign : {1, -1}) {
            Expression e;
            e.add(id, sign);
            e.add(-kLimit);
            known.push_back({e, false});
        }
    }
    u64 n = 0;
    for (const Fact& first : facts) {
        for (const Fact& second : facts) {
            if (n++ % stride != 0) continue;
            std::vector<Fact> told = known;
            told.push_back(first);
            told.push_back(second);
            const Trial trial(told);
            for (const Values& v : all) {
                if (std::string what = trial.kept(v, count); !what.empty()) return what;
            }
            const Expression& e = asked[n / stride % asked.size()];
            if (std::string what = trial.proves(e, all, count); !what.empty())
                return describe(first.e) + ", " + describe(second.e) + ": " + what;
            for (u32 id = 1; id <= kIds; ++id) {
                if (std::string what = trial.without(id, all, count); !what.empty())
                    return describe(first.e) + ", " + describe(second.e) + ": " + what;
            }
        }
    }
    return "";
}

std::string random_relations(u64 seed, u32 rounds, Count& count) {
    std::mt19937_64 random(seed);
    const auto pick = [&](i64 least, i64 most) {
        return least + static_cast<i64>(random() % static_cast<u64>(most - least + 1));
    };
    const std::vector<Values> all = all_values();
    const auto any = [&](i64 largest) {
        Expression e = expression_of(0, 0, 0, pick(-4, 4));
        for (u32 id = 1; id <= kIds; ++id) e.add(id, pick(0, 2) == 0 ? 0 : pick(-largest, largest));
        return e;
    };
    for (u32 round = 0; round < rounds; ++round) {
        std::vector<Fact> told;
        for (i64 n = pick(1, 14); n > 0; --n) told.push_back({any(pick(1, 3)), pick(0, 4) == 0});
        std::erase_if(told, [](const Fact& f) { return f.e.parts().empty(); });
        const Trial trial(told);
        for (int n = 0; n < 3; ++n) {
            if (std::string what = trial.proves(any(2), all, count); !what.empty()) return what;
        }
        for (u32 id = 1; id <= kIds; ++id) {
            if (std::string what = trial.without(id, all, count); !what.empty()) return what;
        }
        for (const Values& v : all) {
            if (std::string what = trial.kept(v, count); !what.empty()) return what;
        }
    }
    return "";
}

namespace {

// Places where something wraps, or ceases to be small.
std::vector<u64> places() {
    std::vector<u64> out;
    for (const u64 around :
         {u64{0}, u64{1} << 31, u64{1} << 32, u64{1} << 35, u64{1} << 36, u64{1} << 63,
          ~u64{0} << 31, ~u64{0} << 32, ~u64{0} << 35, ~u64{0} << 36}) {
        for (u64 d = 0; d < 5; ++d) out.push_back(around + d - 2);
    }
    for (u64 v = 0; v < 16; ++v) out.push_back(v);
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
}

struct Number {
    Reg reg;
    u64 number, identity;
};

// Numbers of identity `id` whose value is near `number`, in several forms.
std::vector<Number> forms(u32 id, u64 number, bool all) {
    std::vector<Number> out;
    const i64 n = static_cast<i64>(number);
    std::vector<Scalar> ranges;
    for (const i64 width : {i64{1}, i64{9}}) {
        i64 low, high;
        if (__builtin_sub_overflow(n, width, &low)) low = std::numeric_limits<i64>::min();
        if (__builtin_add_overflow(n, width, &high)) high = std::numeric_limits<i64>::max();
        ranges.push_back(Scalar::of_signed_range(low, high));
        ranges.push_back(Scalar::of_range(number < static_cast<u64>(width) ? 0 : number - 1,
                                          number == ~u64{0} ? number : number + 1));
    }
    for (const Scalar& range : ranges) {
        for (const i64 scale : {i64{1}, i64{-1}, i64{4}}) {
            for (const u64 delta :
                 {u64{0}, u64{3}, u64{0} - 3, u64{1} << 34, u64{1} << 36, u64{1} << 63}) {
                if (!all && (scale == 4 || (delta != 0 && delta != 3))) continue;
                const u64 scaled = number - delta;
                if (scale == 4 && scaled % 4 != 0) continue;
                // 4 * x has the same value for four x, which are far apart.
                for (const u64 high : {u64{0}, u64{1} << 62, u64{3} << 62}) {
                    if (scale != 4 && high != 0) continue;
                    Number one{Reg::scalar(range, id), number, 0};
                    one.reg.scale = scale;
                    one.reg.delta = static_cast<i64>(delta);
                    one.identity = scale == 4   ? scaled / 4 + high
                                   : scale == 1 ? scaled
                                                : u64{0} - scaled;
                    out.push_back(one);
                }
            }
        }
    }
    return out;
}

Wide as_signed(u64 v) {
    return static_cast<i64>(v);
}

Wide value_at(const Expression& e, u64 first, u64 second, u64 third) {
    const u64 v[] = {0, first, second, third};
    Wide sum = e.constant();
    for (const Part& p : e.parts()) sum += p.factor * as_signed(v[p.id]);
    return sum;
}

bool is_wrong(const Claim& claim, u64 first, u64 second, u64 third) {
    if (claim.kind == Claim::Kind::None || !claim.e.valid()) return false;
    const Wide value = value_at(claim.e, first, second, third);
    switch (claim.kind) {
        case Claim::Kind::None:
            return false;
        case Claim::Kind::AtMost:
            return value > 0;
        case Claim::Kind::Equal:
            return value != 0;
        case Claim::Kind::NotEqual:
            return value == 0;
    }
    return true;
}

std::string describe(const char* what, const Number& a, const Number& b, const Claim& claim) {
    return std::string(what) + " of " + std::to_string(a.number) + " in " + to_string(a.reg) +
           " and " + std::to_string(b.number) + " in " + to_string(b.reg) + ": " +
           describe(claim.e);
}

}  // namespace

std::string numbers_as_expressions(Count& count) {
    for (const u64 number : places()) {
        for (const Number& n : forms(1, number, true)) {
            ++count.checks;
            const Expression e = expression(n.reg);
            if (e.valid() && value_at(e, n.identity, 0, 0) != as_signed(number))
                return "the form of " + std::to_string(number) + " wraps: " + describe(e);
            Ranges ranges;
            learn_from(ranges, n.reg, 0);
            const UpperBound most = ranges.most(1, false), least = ranges.most(1, true);
            if ((most.most != kUnlimited && as_signed(n.identity) > most.most) ||
                (least.most != kUnlimited && -as_signed(n.identity) > least.most))
                return "the range of " + std::to_string(n.identity) + " is wrong";
        }
    }
    return "";
}

std::string claims_of_numbers(Count& count) {
    const auto wrong = [&](const char* what, const Number& a, const Number& b, const Claim& claim,
                           u64 third) -> std::string {
        ++count.checks;
        if (!is_wrong(claim, a.identity, b.identity, third)) return "";
        return describe(what, a, b, claim);
    };
    for (const u64 x : places()) {
        const std::vector<Number> firsts = forms(1, x, false);
        for (const u64 y : places()) {
            for (const Number& b : forms(2, y, false)) {
                for (const Number& a : firsts) {
                    for (const Width width : kWidths) {
                        for (const Cond cond : kConds) {
                            const bool outcome = isa::eval_cond(cond, width, x, y);
                            const Claim claim = claim_of_order(cond, width, outcome, a.reg, b.reg);
                            if (std::string w = wrong("order", a, b, claim, 0); !w.empty())
                                return w;
                        }
                    }
                    for (const bool subtract : {false, true}) {
                        const u64 sum =
                            isa::eval_alu(subtract ? AluOp::Sub : AluOp::Add, Width::W64, x, y);
                        const Reg whole = Reg::scalar(Scalar::unknown(), 3);
                        const Claim claim = claim_of_sum(whole, a.reg, b.reg, subtract);
                        if (std::string w = wrong("sum", a, b, claim, sum); !w.empty()) return w;
                    }
                }
            }
            // What is taken from x with y.
            for (const AluOp op : {AluOp::And, AluOp::Rsh, AluOp::Div, AluOp::Mod}) {
                const u64 part = isa::eval_alu(op, Width::W64, x, y);
                for (const Number& p : forms(2, part, false)) {
                    const Claim claim = claim_of_part(p.reg, firsts[0].reg);
                    if (std::string w = wrong("part", firsts[0], p, claim, 0); !w.empty()) return w;
                }
            }
        }
    }
    return "";
}

}  // namespace ebpf::verifier::oracle
