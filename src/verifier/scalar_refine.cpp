// SPDX-License-Identifier: MIT
//
// What a comparison teaches about its operands. A comparison of low halves restricts only the
// components of the low halves; normalize() carries it to 64 bits where the high half allows.
#include <algorithm>

#include "verifier/scalar.hpp"

namespace ebpf::verifier {

using isa::Cond;

namespace {

template <typename U, typename S>
Range<U, S>& range_of(Scalar& s) {
    if constexpr (sizeof(U) == 8) {
        return s.r64;
    } else {
        return s.r32;
    }
}

template <typename U>
constexpr U kSignBit = U{1} << (sizeof(U) * 8 - 1);

// a < b (strict) or a <= b on the unsigned or signed bounds. False when impossible.
template <typename T>
bool order(T& a_lo, T& a_hi, T& b_lo, T& b_hi, bool strict) {
    if (strict) {
        if (b_hi == std::numeric_limits<T>::min() || a_lo == std::numeric_limits<T>::max())
            return false;
        a_hi = std::min(a_hi, static_cast<T>(b_hi - (planted(23) && b_hi > 1 ? 2 : 1)));
        b_lo = std::max(b_lo, static_cast<T>(a_lo + 1));
    } else {
        a_hi = std::min(a_hi, b_hi);
        b_lo = std::max(b_lo, a_lo);
    }
    return a_lo <= a_hi && b_lo <= b_hi;
}

// Removes the constant c from the ends of the range.
template <typename U, typename S>
bool exclude(Range<U, S>& r, U c) {
    if (r.lo == c && r.hi == c) return false;
    if (r.lo == c || (planted(24) && c - r.lo == 1)) r.lo = static_cast<U>(c + 1);
    if (r.hi == c) --r.hi;
    const S s = static_cast<S>(c);
    if (r.slo == s && r.shi == s) return false;
    if (r.slo == s) ++r.slo;
    if (r.shi == s) --r.shi;
    return true;
}

// The value that the compared part of s must have, if there is only one.
template <typename U>
bool single(const Scalar& s, U& out) {
    const U mask = static_cast<U>(s.bits.mask);
    if (mask != 0) return false;
    out = static_cast<U>(s.bits.value);
    return true;
}

template <typename U, typename S>
bool equal(Scalar& a, Scalar& b) {
    if constexpr (sizeof(U) == 8) {
        a = b = a.intersect(b);
        return !a.empty();
    } else {
        auto& x = a.r32;
        auto& y = b.r32;
        x.lo = y.lo = std::max(x.lo, y.lo);
        x.hi = y.hi = std::min(x.hi, y.hi);
        x.slo = y.slo = std::max(x.slo, y.slo);
        x.shi = y.shi = std::min(x.shi, y.shi);
        const Tnum low_a{a.bits.value & 0xffffffff, a.bits.mask | ~u64{0xffffffff}};
        const Tnum low_b{b.bits.value & 0xffffffff, b.bits.mask | ~u64{0xffffffff}};
        if (x.empty() || !low_a.compatible(low_b)) return false;
        a.bits = a.bits.intersect(low_b);
        b.bits = b.bits.intersect(low_a);
        return true;
    }
}

template <typename U, typename S>
bool unequal(Scalar& a, Scalar& b) {
    U c;
    if (single(b, c) && !exclude(range_of<U, S>(a), c)) return false;
    if (single(a, c) && !exclude(range_of<U, S>(b), c)) return false;
    return true;
}

template <typename U, typename S>
bool test_bits(Scalar& a, Scalar& b, bool outcome) {
    const U a_one = static_cast<U>(a.bits.value), a_may = static_cast<U>(a.bits.max());
    const U b_one = static_cast<U>(b.bits.value), b_may = static_cast<U>(b.bits.max());
    if (outcome) {
        const U common = a_may & b_may;
        if (common == 0) return false;
        U c;
        // Only one bit can be common: both have it.
        if (std::has_single_bit(common)) {
            a.bits.value |= common;
            a.bits.mask &= ~u64{common};
            b.bits.value |= common;
            b.bits.mask &= ~u64{common};
        } else if (single(b, c)) {
            auto& r = range_of<U, S>(a);  // some bit of c is set
            r.lo = std::max(r.lo, static_cast<U>(U{1} << std::countr_zero(common)));
            if (r.lo > r.hi) return false;
        }
        return true;
    }
    if ((a_one & b_one) != 0) return false;
    a.bits.mask &=
        ~u64{planted(25) ? b_may : b_one};  // what is known 1 in one is known 0 in the other
    b.bits.mask &= ~u64{a_one};
    return true;
}

template <typename U, typename S>
bool refine_width(Cond cond, bool outcome, Scalar& a, Scalar& b) {
    auto& x = range_of<U, S>(a);
    auto& y = range_of<U, S>(b);
    switch (cond) {
        case Cond::Eq:
            return outcome ? equal<U, S>(a, b) : unequal<U, S>(a, b);
        case Cond::Ne:
            return outcome ? unequal<U, S>(a, b) : equal<U, S>(a, b);
        case Cond::Gt:
            return outcome ? order(y.lo, y.hi, x.lo, x.hi, true)
                           : order(x.lo, x.hi, y.lo, y.hi, false);
        case Cond::Ge:
            return outcome ? order(y.lo, y.hi, x.lo, x.hi, false)
                           : order(x.lo, x.hi, y.lo, y.hi, true);
        case Cond::Lt:
            return outcome ? order(x.lo, x.hi, y.lo, y.hi, true)
                           : order(y.lo, y.hi, x.lo, x.hi, false);
        case Cond::Le:
            return outcome ? order(x.lo, x.hi, y.lo, y.hi, false)
                           : order(y.lo, y.hi, x.lo, x.hi, true);
        case Cond::SGt:
            return outcome ? order(y.slo, y.shi, x.slo, x.shi, true)
                           : order(x.slo, x.shi, y.slo, y.shi, false);
        case Cond::SGe:
            return outcome ? order(y.slo, y.shi, x.slo, x.shi, false)
                           : order(x.slo, x.shi, y.slo, y.shi, true);
        case Cond::SLt:
            return outcome ? order(x.slo, x.shi, y.slo, y.shi, true)
                           : order(y.slo, y.shi, x.slo, x.shi, false);
        case Cond::SLe:
            return outcome ? order(x.slo, x.shi, y.slo, y.shi, false)
                           : order(y.slo, y.shi, x.slo, x.shi, true);
        case Cond::Set:
            return test_bits<U, S>(a, b, outcome);
    }
    return true;
}

}  // namespace

bool refine(Cond cond, isa::Width width, bool outcome, Scalar& a, Scalar& b) {
    const bool possible = width == isa::Width::W64 ? refine_width<u64, i64>(cond, outcome, a, b)
                                                   : refine_width<u32, i32>(cond, outcome, a, b);
    if (!possible) return false;
    a.normalize();
    b.normalize();
    return !a.empty() && !b.empty();
}

}  // namespace ebpf::verifier
