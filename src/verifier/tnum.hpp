// SPDX-License-Identifier: MIT
//
// Known bits ("tristate numbers"): a bit is known 0, known 1, or unknown. The concrete values are
// those that agree with `value` in every bit that `mask` leaves clear.
#pragma once

#include <bit>

#include "base/types.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

struct Tnum {
    u64 value = 0;  // the known ones; disjoint from mask
    u64 mask = ~u64{0};

    static constexpr Tnum constant(u64 v) { return {v, 0}; }
    static constexpr Tnum unknown() { return {0, ~u64{0}}; }
    // The bits that all numbers of [lo, hi] share: their common prefix.
    static constexpr Tnum of_range(u64 lo, u64 hi) {
        const int differing = 64 - std::countl_zero(lo ^ hi);
        const u64 below = differing == 64 ? ~u64{0} : (u64{1} << differing) - 1;
        return {lo & ~below, below};
    }

    constexpr bool is_constant() const { return mask == 0; }
    constexpr u64 min() const { return value; }
    constexpr u64 max() const { return value | mask; }
    constexpr bool contains(u64 v) const { return ((v ^ value) & ~mask) == 0; }
    // Every value of `other` is one of this.
    constexpr bool contains(Tnum other) const {
        return (other.mask & ~mask) == 0 && ((other.value ^ value) & ~mask) == 0;
    }
    // The bits agree where both are known; without that the intersection is empty.
    constexpr bool compatible(Tnum other) const {
        return ((value ^ other.value) & ~mask & ~other.mask) == 0;
    }
    constexpr Tnum intersect(Tnum other) const {
        const u64 m = mask & other.mask;
        return {(value | other.value) & ~m, m};
    }
    constexpr Tnum join(Tnum other) const {
        const u64 m = mask | other.mask | (value ^ other.value);
        return {value & ~m, m};
    }
    constexpr Tnum low32() const { return {value & 0xffffffff, mask & 0xffffffff}; }
    // Every bit unknown from the lowest unknown one up: keeps only alignment.
    constexpr Tnum alignment_only() const {
        if (mask == 0) return *this;
        const u64 m = ~u64{0} << std::countr_zero(mask);
        return {value & ~m, m};
    }

    friend constexpr bool operator==(const Tnum&, const Tnum&) = default;
};

constexpr Tnum operator+(Tnum a, Tnum b) {
    // The smallest and the largest sum differ exactly where some carry is uncertain.
    const u64 carries = planted(17) ? 0 : (a.min() + b.min()) ^ (a.max() + b.max());
    const u64 m = carries | a.mask | b.mask;
    return {(a.value + b.value) & ~m, m};
}

constexpr Tnum operator-(Tnum a, Tnum b) {
    const u64 m = ((a.min() - b.max()) ^ (a.max() - b.min())) | a.mask | b.mask;
    return {(a.value - b.value) & ~m, m};
}

constexpr Tnum operator&(Tnum a, Tnum b) {
    const u64 v = a.value & b.value;
    return {v, a.max() & b.max() & ~v};
}

constexpr Tnum operator|(Tnum a, Tnum b) {
    const u64 v = a.value | b.value;
    return {v, (a.mask | b.mask) & ~v};
}

constexpr Tnum operator^(Tnum a, Tnum b) {
    const u64 m = a.mask | b.mask;
    return {(a.value ^ b.value) & ~m, m};
}

constexpr Tnum operator<<(Tnum a, int n) {
    return {a.value << n, a.mask << n};
}
constexpr Tnum operator>>(Tnum a, int n) {
    return {a.value >> n, a.mask >> n};
}

// Arithmetic shift of a `bits`-wide number (32 or 64) that stands in the low bits.
constexpr Tnum arithmetic_shift(Tnum a, int n, int bits) {
    const int unused = 64 - bits;
    const u64 v = static_cast<u64>(static_cast<i64>(a.value << unused) >> (n + unused));
    const u64 m = static_cast<u64>(static_cast<i64>(a.mask << unused) >> (n + unused));
    const u64 width = bits == 64 ? ~u64{0} : 0xffffffff;
    return {v & width, m & width};
}

// Schoolbook: a known 1 in `a` adds b shifted, an unknown bit adds b or nothing.
constexpr Tnum operator*(Tnum a, Tnum b) {
    Tnum sum = Tnum::constant(0);
    for (; (a.value | a.mask) != 0; a = a >> 1, b = b << 1) {
        if (a.value & 1) {
            sum = sum + b;
        } else if ((a.mask & 1) && !planted(18)) {
            sum = sum + Tnum{0, b.max()};
        }
    }
    return sum;
}

}  // namespace ebpf::verifier
