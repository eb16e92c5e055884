// SPDX-License-Identifier: MIT
//
// Linear relations of numbers: what a sum was made of, what a comparison of two numbers says of
// both. `off + len <= 64`, `i < len` and `at == off + i` limit `at`, although the range of each
// number allows more.
//
// A relation is a statement about the values of up to three identities (state.hpp), each read as a
// signed number of 64 bits, in whole numbers, which do not wrap. The value of an identity never
// changes, so nothing that a program does makes a relation untrue: it is made once, and dropped
// when it is of no more use. All care goes to the making: a register's number is scale * (the
// identity's value) + delta modulo 2^64, and it has to be shown that this did not wrap.
//
// Here is what needs no state: expressions, the set of relations and what follows from them.
// related.cpp makes and asks them, relation_states.cpp takes them from state to state.
#pragma once

#include <array>
#include <limits>
#include <span>
#include <vector>

#include "isa/insn.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

struct Reg;

struct Part {
    u32 id = 0;
    i32 factor = 0;
    friend bool operator==(const Part&, const Part&) = default;
};

// Numbers less than this in size; sums and products of some are still far from wrapping.
inline constexpr i64 kSmall = i64{1} << 35;
constexpr bool is_small(i64 v) {
    return v > -kSmall && v < kSmall;
}

// The sum of factor * (the value of an identity) over the parts, plus a constant.
class Expression {
  public:
    void add(i64 constant);
    void add(u32 id, i64 factor);
    void add(const Expression& e, i64 times);
    std::span<const Part> parts() const { return {parts_.data(), count_}; }
    i64 constant() const { return constant_; }
    // False: it has too many parts, or may be too large; nothing is known of it then.
    bool valid() const { return valid_; }
    void invalidate() { valid_ = false; }

  private:
    std::array<Part, 6> parts_{};
    i64 constant_ = 0;
    u8 count_ = 0;
    bool valid_ = true;
};
Expression negated(const Expression& e);

// The sum over the parts is at most `most`, or equals it. `need` is what that was found from.
struct Relation {
    std::array<Part, 3> sum{};
    i64 most = 0;
    u32 need = 0;
    u8 count = 0;
    bool equal = false;
    std::span<const Part> parts() const { return {sum.data(), count}; }
    bool mentions(u32 id) const;
    Expression excess() const;  // the sum less `most`: at most 0
};

inline constexpr i64 kUnlimited = std::numeric_limits<i64>::max();
struct UpperBound {
    i64 most = kUnlimited;
    u32 need = 0;
};
// Ranges of single identities.
class Ranges {
  public:
    void clear() { all_.clear(); }
    void learn(u32 id, i64 least, i64 most, u32 need);
    // The most of the value, or of its negative.
    UpperBound most(u32 id, bool negative) const;

  private:
    struct Range {
        u32 id;
        UpperBound most[2];
    };
    std::vector<Range> all_;
};

// An upper bound, and what it was found from.
struct Proof {
    i64 most = kUnlimited;
    std::array<u32, 10> needs{};
    u8 count = 0;
    void rely_on(u32 need) {
        if (need != 0) needs[count++] = need;
    }
    std::span<const u32> relies_on() const { return {needs.data(), count}; }
};

class Relations {
  public:
    static constexpr std::size_t kMost = 12;  // the latest

    bool empty() const { return all_.empty(); }
    std::span<const Relation> all() const { return all_; }
    std::span<Relation> all() { return all_; }
    bool mention(u32 id) const;
    bool mention_any_of(const Expression& e) const;
    bool full() const { return all_.size() == kMost; }

    // `e` is at most 0, or it is 0. Of what has more than three parts nothing is kept.
    void insert(const Expression& e, bool equal, u32 need);
    template <typename Which>
    void erase_if(Which which) {
        std::erase_if(all_, which);
    }
    void clear() { all_.clear(); }

    // The most that `e` can be. Ends as soon as that is no more than `enough`.
    Proof at_most(const Expression& e, const Ranges& ranges, i64 enough) const;

    // What two relations say without the identity that both mention.
    struct Consequence {
        Expression e;
        bool equal;
        u32 needs[2];
    };
    // Removes all relations that mention the identity; what they said of others is returned.
    std::vector<Consequence> take_out(u32 id);

  private:
    Proof at_most(const Expression& e, const Ranges& ranges, i64 enough, int depth) const;
    std::vector<Relation> all_;
};
// By the ranges of its parts alone.
Proof at_most(const Expression& e, const Ranges& ranges);

// The number of `r`, scalar or variable part of a pointer, is scale * value + delta without
// wrapping, scale 1 or -1: it and `delta` are small, which is shown by the range of `r`.
bool is_linear(const Reg& r);
// A constant or a linear number as an expression; else not valid.
Expression expression(const Reg& r);
// What the range of a linear number says of its identity's value.
void learn_from(Ranges& ranges, const Reg& r, u32 need);

// What is known of two numbers: `e` is at most 0, or it is 0, or it is not 0.
struct Claim {
    Expression e;
    enum class Kind : u8 { None, AtMost, Equal, NotEqual } kind = Kind::None;
};
// sum == a + b, or a - b, as whole numbers of 64 bits.
Claim claim_of_sum(const Reg& sum, const Reg& a, const Reg& b, bool subtract);
// part <= whole, two numbers of which neither is negative.
Claim claim_of_part(const Reg& part, const Reg& whole);
// The outcome of `a cond b`, whose ranges have been told already.
Claim claim_of_order(isa::Cond cond, isa::Width width, bool outcome, const Reg& a, const Reg& b);

}  // namespace ebpf::verifier
