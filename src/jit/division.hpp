// SPDX-License-Identifier: MIT
//
// Division by a constant as a multiplication (Granlund and Montgomery, "Division by invariant
// integers using multiplication", 1994): with l = floor(log2 d) and N bits, the multiplier
//
//     m = floor(2^(N+l) / d) + 1,   e = d - 2^(N+l) mod d
//
// gives floor(n / d) = m * n >> (N + l) for all n below 2^N whenever e < 2^l. Else the multiplier
// with one more bit of precision does, whose top bit (2^N) is left out here and added by the code:
// q = hi(m' * n); (((n - q) >> 1) + q) >> l.
#pragma once

#include "base/types.hpp"

namespace ebpf::jit {

struct UnsignedMagic {
    u64 multiplier = 0;  // below 2^N
    u8 shift = 0;        // after taking the high half, and after the addition where there is one
    bool add = false;    // 2^N is missing from the multiplier
};

// `divisor` is at least 3, below 2^N and no power of two; N is 32 or 64.
constexpr UnsignedMagic unsigned_magic(u64 divisor, int n) {
    using Wide = unsigned __int128;
    const int l = 63 - __builtin_clzll(divisor);
    const Wide power = Wide{1} << (n + l);
    const u64 quotient = static_cast<u64>(power / divisor);
    const u64 remainder = static_cast<u64>(power % divisor);
    if (divisor - remainder < (u64{1} << l)) return {quotient + 1, static_cast<u8>(l), false};
    // floor(2^(N+l+1) / d) + 1 - 2^N, from the same division.
    const u64 mask = n == 64 ? ~u64{0} : (u64{1} << n) - 1;
    const u64 carry = remainder >= divisor - remainder ? 1 : 0;
    return {(2 * quotient + carry + 1) & mask, static_cast<u8>(l), true};
}

// For |divisor| >= 2 as a signed number of N bits: q = hi(m * n) >> shift, plus 1 where n < 0,
// negated where the divisor is negative. The multiplier is unsigned, in [2^(N-1), 2^N).
struct SignedMagic {
    u64 multiplier = 0;
    u8 shift = 0;
};

// m = floor(2^(N-1+l) / d) + 1 with l = ceil(log2 d): m * d exceeds 2^(N-1+l) by at most d <= 2^l,
// which is little enough for n in [-2^(N-1), 2^(N-1)).
constexpr SignedMagic signed_magic(u64 magnitude, int n) {
    using Wide = unsigned __int128;
    const int l = 64 - __builtin_clzll(magnitude - 1);
    const Wide power = Wide{1} << (n - 1 + l);
    return {static_cast<u64>(power / magnitude) + 1, static_cast<u8>(l - 1)};
}

}  // namespace ebpf::jit
