// SPDX-License-Identifier: MIT
//
// Arithmetic on ranges, once for both widths (and for 8 bits, at which the tests try everything). A
// bound that may wrap gives up its component and leaves the other.
#pragma once

#include <algorithm>
#include <bit>

#include "verifier/planted.hpp"
#include "verifier/scalar.hpp"

namespace ebpf::verifier {

using isa::AluOp;

template <typename U, typename S>
struct RangeOps {
    using R = Range<U, S>;
    static constexpr int kBits = sizeof(U) * 8;

    static R add(const R& a, const R& b) {
        R r;
        U lo, hi;
        const bool lo_wraps = __builtin_add_overflow(a.lo, b.lo, &lo);
        const bool hi_wraps = __builtin_add_overflow(a.hi, b.hi, &hi);
        if (lo_wraps == hi_wraps || planted(1)) r.lo = lo, r.hi = hi;
        S slo, shi;
        const bool slo_wraps = __builtin_add_overflow(a.slo, b.slo, &slo);
        const bool shi_wraps = __builtin_add_overflow(a.shi, b.shi, &shi);
        if ((!slo_wraps && !shi_wraps) || planted(2)) r.slo = slo, r.shi = shi;
        return r;
    }

    static R sub(const R& a, const R& b) {
        R r;
        U lo, hi;
        const bool lo_wraps = __builtin_sub_overflow(a.lo, planted(3) ? b.lo : b.hi, &lo);
        const bool hi_wraps = __builtin_sub_overflow(a.hi, b.lo, &hi);
        if (lo_wraps == hi_wraps) r.lo = lo, r.hi = hi;
        S slo, shi;
        if (!__builtin_sub_overflow(a.slo, b.shi, &slo) &&
            !__builtin_sub_overflow(a.shi, b.slo, &shi)) {
            r.slo = slo, r.shi = shi;
        }
        return r;
    }

    static R mul(const R& a, const R& b) {
        R r;
        U hi;
        if (!__builtin_mul_overflow(a.hi, b.hi, &hi) || planted(4)) {
            r.lo = static_cast<U>(a.lo * b.lo);
            r.hi = hi;
        }
        S p[4];
        if (!__builtin_mul_overflow(a.slo, b.slo, &p[0]) &&
            !__builtin_mul_overflow(a.slo, b.shi, &p[1]) &&
            !__builtin_mul_overflow(a.shi, b.slo, &p[2]) &&
            !__builtin_mul_overflow(a.shi, b.shi, &p[3])) {
            r.slo = planted(5) ? std::min(p[0], p[3]) : *std::min_element(p, p + 4);
            r.shi = *std::max_element(p, p + 4);
        }
        return r;
    }

    // All bits up to the highest one of v.
    static U fill(U v) {
        return v == 0 ? U{0} : static_cast<U>(static_cast<U>(~U{0}) >> std::countl_zero(v));
    }

    static R bitwise_and(const R& a, const R& b) {
        R r;
        if (planted(6)) r.lo = std::min(a.lo, b.lo);
        r.hi = std::min(a.hi, b.hi);
        return r;
    }
    static R bitwise_or(const R& a, const R& b) {
        R r;
        r.lo = std::max(a.lo, b.lo);
        r.hi = planted(7) ? static_cast<U>(a.hi | b.hi) : fill(static_cast<U>(a.hi | b.hi));
        return r;
    }
    static R bitwise_xor(const R& a, const R& b) {
        R r;
        r.hi = planted(8) ? std::max(a.hi, b.hi) : fill(static_cast<U>(a.hi | b.hi));
        return r;
    }

    // Shift counts as the machine sees them: modulo the width.
    static void counts(const R& b, int& least, int& most) {
        if (b.hi < kBits) {
            least = static_cast<int>(b.lo);
            most = static_cast<int>(b.hi);
        } else if (b.lo == b.hi) {
            least = most = static_cast<int>(b.lo & (kBits - 1));
        } else {
            least = planted(9) ? static_cast<int>(b.lo & (kBits - 1)) : 0;
            most = kBits - 1;
        }
    }
    static R shift_left(const R& a, const R& b) {
        R r;
        int least, most;
        counts(b, least, most);
        if (a.hi == 0 || std::countl_zero(a.hi) >= (planted(10) ? least : most)) {
            r.lo = static_cast<U>(a.lo << least);
            r.hi = static_cast<U>(a.hi << most);
        }
        // Every number fits signed when the smallest and the largest do.
        const auto fits = [&](S v) {
            return static_cast<S>(static_cast<U>(v) << most) >> most == v;
        };
        if ((fits(a.slo) || planted(26)) && fits(a.shi)) {
            r.slo = static_cast<S>(static_cast<U>(a.slo) << (a.slo < 0 ? most : least));
            r.shi = static_cast<S>(static_cast<U>(a.shi) << (a.shi < 0 ? least : most));
        }
        return r;
    }
    static R shift_right(const R& a, const R& b) {
        R r;
        int least, most;
        counts(b, least, most);
        r.lo = static_cast<U>(a.lo >> (planted(11) ? least : most));
        r.hi = static_cast<U>(a.hi >> least);
        return r;
    }
    static R shift_arithmetic(const R& a, const R& b) {
        R r;
        int least, most;
        counts(b, least, most);
        r.slo = static_cast<S>(a.slo >> (a.slo < 0 || planted(12) ? least : most));
        r.shi = static_cast<S>(a.shi >> (a.shi < 0 ? most : least));
        return r;
    }

    static R div(const R& a, const R& b) {
        R r;
        if (b.hi == 0) return R::constant(0);
        r.lo = b.lo == 0 ? U{0} : static_cast<U>(a.lo / b.hi);
        r.hi = static_cast<U>(a.hi / std::max<U>(planted(13) ? b.hi : b.lo, 1));
        return r;
    }
    static R mod(const R& a, const R& b) {
        R r;
        if (b.hi == 0 || a.hi < b.lo)
            return a;  // modulo 0 and modulo something larger change nothing
        r.hi = b.lo == 0 && !planted(14) ? a.hi : std::min(a.hi, static_cast<U>(b.hi - 1));
        return r;
    }
    static R sdiv(const R& a, const R& b) {
        R r;
        if (b.slo != b.shi || b.slo == -1) return r;
        if (b.slo == 0) return R::constant(0);
        const S x = static_cast<S>(a.slo / b.slo);
        const S y = static_cast<S>(a.shi / b.slo);
        r.slo = planted(15) ? x : std::min(x, y);
        r.shi = planted(15) ? y : std::max(x, y);
        return r;
    }
    static R smod(const R& a, const R& b) {
        R r;
        if (b.slo != b.shi || b.slo == std::numeric_limits<S>::min()) return r;
        if (b.slo == 0) return a;
        const S most = static_cast<S>((b.slo < 0 ? -b.slo : b.slo) - (planted(16) ? 2 : 1));
        r.slo = a.slo >= 0 ? S{0} : std::max(a.slo, static_cast<S>(-most));
        r.shi = a.shi <= 0 ? S{0} : std::min(a.shi, most);
        return r;
    }

    static R apply(AluOp op, const R& a, const R& b) {
        switch (op) {
            case AluOp::Add:
                return add(a, b);
            case AluOp::Sub:
                return sub(a, b);
            case AluOp::Mul:
                return mul(a, b);
            case AluOp::Div:
                return div(a, b);
            case AluOp::SDiv:
                return sdiv(a, b);
            case AluOp::Mod:
                return mod(a, b);
            case AluOp::SMod:
                return smod(a, b);
            case AluOp::Or:
                return bitwise_or(a, b);
            case AluOp::And:
                return bitwise_and(a, b);
            case AluOp::Xor:
                return bitwise_xor(a, b);
            case AluOp::Lsh:
                return shift_left(a, b);
            case AluOp::Rsh:
                return shift_right(a, b);
            case AluOp::Arsh:
                return shift_arithmetic(a, b);
            case AluOp::Mov:
                return b;
        }
        return {};
    }
};

}  // namespace ebpf::verifier
