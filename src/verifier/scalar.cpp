// SPDX-License-Identifier: MIT
#include "verifier/scalar.hpp"

#include <algorithm>
#include <cstdio>

namespace ebpf::verifier {

namespace {

// The signed and the unsigned view of one range, where they do not cross the sign's border.
template <typename U, typename S>
void exchange_signs(Range<U, S>& r) {
    if (static_cast<S>(r.lo) <= static_cast<S>(r.hi) || planted(20)) {
        r.slo = std::max(r.slo, static_cast<S>(r.lo));
        r.shi = std::min(r.shi, static_cast<S>(r.hi));
    }
    if (r.slo >= 0 || r.shi < 0) {
        r.lo = std::max(r.lo, static_cast<U>(r.slo));
        r.hi = std::min(r.hi, static_cast<U>(r.shi));
    }
}

template <typename U, typename S>
void tighten_by_bits(Range<U, S>& r, Tnum bits) {
    constexpr U kSign = U{1} << (sizeof(U) * 8 - 1);
    const U value = static_cast<U>(bits.value);
    const U mask = static_cast<U>(bits.mask);
    r.lo = std::max(r.lo, value);
    r.hi = std::min(r.hi, static_cast<U>(value | mask));
    r.slo = std::max(r.slo, static_cast<S>(value | (mask & kSign)));
    r.shi = std::min(r.shi, static_cast<S>(value | (mask & static_cast<U>(~kSign))));
}

// Bounds become numbers with the known lowest bits. False when there is none between them.
template <typename U, typename S>
bool tighten_by_lowest_bits(Range<U, S>& r, Tnum bits) {
    const U step_mask = static_cast<U>((bits.mask & (u64{0} - bits.mask)) - 1);
    if (bits.mask == 0 || step_mask == 0) return true;
    const U low = static_cast<U>(bits.value) & step_mask;
    const auto up = [&](U v) { return static_cast<U>((low - v) & step_mask); };
    const auto down = [&](U v) { return static_cast<U>((v - low) & step_mask); };
    const U u = up(r.lo), d = down(r.hi), su = up(static_cast<U>(r.slo)),
            sd = down(static_cast<U>(r.shi));
    if (u > static_cast<U>(r.hi - r.lo)) return false;
    r.lo = static_cast<U>(r.lo + u);
    r.hi = static_cast<U>(r.hi - d);
    if (su > static_cast<U>(static_cast<U>(r.shi) - static_cast<U>(r.slo))) return false;
    r.slo = static_cast<S>(static_cast<U>(r.slo) + su);
    r.shi = static_cast<S>(static_cast<U>(r.shi) - sd);
    return true;
}

// What the ranges of 64 bits and of the low half say about each other.
void exchange_halves(Range64& wide, Range32& low) {
    if (wide.lo >> 32 == wide.hi >> 32 || planted(19)) {
        low.lo = std::max(low.lo, static_cast<u32>(wide.lo));
        low.hi = std::min(low.hi, static_cast<u32>(wide.hi));
    }
    if (wide.slo >= std::numeric_limits<i32>::min() &&
        wide.shi <= std::numeric_limits<i32>::max()) {
        low.slo = std::max(low.slo, static_cast<i32>(wide.slo));
        low.shi = std::min(low.shi, static_cast<i32>(wide.shi));
    }
    if (low.empty() || wide.empty()) return;
    // The smallest number from wide.lo on whose low half is allowed, and the largest.
    u64 high = wide.lo >> 32;
    const u32 lo32 = static_cast<u32>(wide.lo);
    if (lo32 < low.lo) {
        wide.lo = high << 32 | low.lo;
    } else if (lo32 > low.hi && high != 0xffffffff) {
        wide.lo = (high + 1) << 32 | low.lo;
    }
    high = wide.hi >> 32;
    const u32 hi32 = static_cast<u32>(wide.hi);
    if (hi32 > low.hi) {
        wide.hi = high << 32 | low.hi;
    } else if (hi32 < low.lo && high != 0) {
        wide.hi = (high - 1) << 32 | low.hi;
    }
    // A number known to fit 32 signed bits is the sign extension of its low half.
    if (wide.slo >= std::numeric_limits<i32>::min() &&
        wide.shi <= std::numeric_limits<i32>::max()) {
        wide.slo = std::max<i64>(wide.slo, low.slo);
        wide.shi = std::min<i64>(wide.shi, low.shi);
    }
}

}  // namespace

Scalar Scalar::constant(u64 v) {
    return {Tnum::constant(v), Range64::constant(v), Range32::constant(static_cast<u32>(v))};
}

Scalar Scalar::of_range(u64 lo, u64 hi) {
    Scalar s;
    s.r64.lo = lo;
    s.r64.hi = hi;
    s.normalize();
    return s;
}

Scalar Scalar::of_signed_range(i64 lo, i64 hi) {
    Scalar s;
    s.r64.slo = lo;
    s.r64.shi = hi;
    s.normalize();
    return s;
}

Scalar Scalar::of_size(int size) {
    return size >= 8 ? unknown() : of_range(0, (u64{1} << (8 * size)) - 1);
}

bool Scalar::empty() const {
    return r64.empty() || r32.empty() || !(bits.value == (bits.value & ~bits.mask));
}

bool Scalar::contains(u64 v) const {
    const u32 low = static_cast<u32>(v);
    return bits.contains(v) && r64.contains(Range64::constant(v)) &&
           r32.contains(Range32::constant(low));
}

bool Scalar::contains(const Scalar& other) const {
    return bits.contains(other.bits) && r64.contains(other.r64) && r32.contains(other.r32);
}

namespace {

const Scalar kEmpty = [] {
    Scalar s;
    s.r64.lo = 1;
    s.r64.hi = 0;
    return s;
}();

template <typename U, typename S>
Range<U, S> meet(const Range<U, S>& a, const Range<U, S>& b) {
    return {std::max(a.lo, b.lo), std::min(a.hi, b.hi), std::max(a.slo, b.slo),
            std::min(a.shi, b.shi)};
}

template <typename U, typename S>
Range<U, S> hull(const Range<U, S>& a, const Range<U, S>& b) {
    return {std::min(a.lo, b.lo), std::max(a.hi, b.hi), std::min(a.slo, b.slo),
            std::max(a.shi, b.shi)};
}

}  // namespace

Scalar Scalar::intersect(const Scalar& other) const {
    if (!bits.compatible(other.bits)) return kEmpty;
    Scalar s{bits.intersect(other.bits), meet(r64, other.r64), meet(r32, other.r32)};
    s.normalize();
    return s;
}

Scalar Scalar::join(const Scalar& other) const {
    Scalar s{bits.join(other.bits), hull(r64, other.r64), hull(r32, other.r32)};
    s.normalize();
    return s;
}

void Scalar::normalize() {
    // Two rounds: what the first round learns last is used by the second.
    for (int round = 0; round < 2; ++round) {
        tighten_by_bits(r64, bits);
        tighten_by_bits(r32, bits);
        exchange_signs(r32);
        exchange_halves(r64, r32);
        exchange_signs(r64);
        exchange_halves(r64, r32);
        if (r64.empty() || r32.empty()) return;
        if (!tighten_by_lowest_bits(r64, bits) || !tighten_by_lowest_bits(r32, bits)) {
            *this = kEmpty;
            return;
        }
        const Tnum by_range = Tnum::of_range(r64.lo, r64.hi);
        const Tnum by_low{Tnum::of_range(r32.lo, r32.hi).value,
                          Tnum::of_range(r32.lo, r32.hi).mask | ~u64{0xffffffff}};
        if (!bits.compatible(by_range) || !bits.intersect(by_range).compatible(by_low)) {
            *this = kEmpty;
            return;
        }
        const Tnum next = bits.intersect(by_range).intersect(by_low);
        if (round == 0 && next == bits && r64.lo == r64.hi) break;
        bits = next;
    }
    tighten_by_bits(r64, bits);
    tighten_by_bits(r32, bits);
}

Scalar Scalar::low32() const {
    Scalar s{bits.low32(), {}, r32};
    s.r64.hi = 0xffffffff;
    s.normalize();
    return s;
}

std::string to_string(const Scalar& s) {
    char text[160];
    if (s.is_constant()) {
        const i64 v = static_cast<i64>(s.value());
        if (v > -65536 && v < 65536) return std::to_string(v);
        std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(s.value()));
        return text;
    }
    const auto number = [](u64 v) {
        char t[32];
        std::snprintf(t, sizeof t, v < 1'000'000 ? "%llu" : "0x%llx",
                      static_cast<unsigned long long>(v));
        return std::string(t);
    };
    std::string out;
    const bool unsigned_known = s.umin() != 0 || s.umax() != ~u64{0};
    const bool signed_known =
        s.smin() != std::numeric_limits<i64>::min() || s.smax() != std::numeric_limits<i64>::max();
    if (signed_known && (s.smin() < 0 || !unsigned_known)) {
        out = std::to_string(s.smin()) + ".." + std::to_string(s.smax());
    } else if (unsigned_known) {
        out = number(s.umin()) + ".." + number(s.umax());
    } else if (s.r32.lo != 0 || s.r32.hi != 0xffffffff) {
        out = "any number with low half " + number(s.r32.lo) + ".." + number(s.r32.hi);
    } else if (s.r32.slo != std::numeric_limits<i32>::min() ||
               s.r32.shi != std::numeric_limits<i32>::max()) {
        out = "any number with low half " + std::to_string(s.r32.slo) + ".." +
              std::to_string(s.r32.shi);
    } else {
        out = "any number";
    }
    const int zeros = std::countr_zero(s.bits.value | s.bits.mask);
    if (zeros > 0 && zeros < 64) out += ", a multiple of " + std::to_string(u64{1} << zeros);
    return out;
}

}  // namespace ebpf::verifier
