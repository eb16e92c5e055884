// SPDX-License-Identifier: MIT
//
// What is known of a number in a register: its known bits, its unsigned and signed range as 64 bits
// and the same for its low half. Each component over-approximates on its own; normalize() lets them
// teach each other. The low half has ranges of its own because programs test and compute in 32 bits
// and then use all 64.
//
// Empty (no value possible) arises only from refining by a condition that cannot hold.
#pragma once

#include <limits>
#include <optional>
#include <string>

#include "isa/insn.hpp"
#include "verifier/tnum.hpp"

namespace ebpf::verifier {

template <typename U, typename S>
struct Range {
    U lo = 0;
    U hi = std::numeric_limits<U>::max();
    S slo = std::numeric_limits<S>::min();
    S shi = std::numeric_limits<S>::max();

    static constexpr Range constant(U v) { return {v, v, static_cast<S>(v), static_cast<S>(v)}; }
    constexpr bool empty() const { return lo > hi || slo > shi; }
    constexpr bool contains(const Range& o) const {
        return lo <= o.lo && hi >= o.hi && slo <= o.slo && shi >= o.shi;
    }
    friend constexpr bool operator==(const Range&, const Range&) = default;
};
using Range64 = Range<u64, i64>;
using Range32 = Range<u32, i32>;

struct Scalar {
    Tnum bits = Tnum::unknown();
    Range64 r64{};
    Range32 r32{};

    static Scalar unknown() { return {}; }
    static Scalar constant(u64 v);
    static Scalar of_range(u64 lo, u64 hi);  // unsigned
    static Scalar of_signed_range(i64 lo, i64 hi);
    // Zero-extended content of `size` unknown bytes (1, 2, 4, 8).
    static Scalar of_size(int size);

    bool is_constant() const { return bits.mask == 0; }
    u64 value() const { return bits.value; }  // when is_constant()
    u64 umin() const { return r64.lo; }
    u64 umax() const { return r64.hi; }
    i64 smin() const { return r64.slo; }
    i64 smax() const { return r64.shi; }

    bool empty() const;
    bool contains(u64 v) const;
    // Every value of `other` is one of this.
    bool contains(const Scalar& other) const;
    Scalar intersect(const Scalar& other) const;
    Scalar join(const Scalar& other) const;
    void normalize();
    // The low half, zero-extended.
    Scalar low32() const;

    friend bool operator==(const Scalar&, const Scalar&) = default;
};

// Transfer functions; each contains eval_*(a, b) of isa/semantics.hpp for all members a, b.
Scalar alu(isa::AluOp op, isa::Width width, const Scalar& a, const Scalar& b);
Scalar negate(isa::Width width, const Scalar& a);
Scalar sign_extend(isa::Width width, int from_bits, const Scalar& a);
Scalar endian(isa::EndianOp op, isa::Width width, const Scalar& a);
// Keeps the low `bytes` bytes, zero-extended.
Scalar truncate(const Scalar& a, int bytes);

// Restricts both operands to the values with which `a cond b` equals `outcome`; false when there
// are none.
bool refine(isa::Cond cond, isa::Width width, bool outcome, Scalar& a, Scalar& b);

// "5", "0..63", "-1..7 & 0xfc": for messages.
std::string to_string(const Scalar& scalar);

}  // namespace ebpf::verifier
