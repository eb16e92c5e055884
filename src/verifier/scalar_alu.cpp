// SPDX-License-Identifier: MIT
//
// Transfer functions of arithmetic. Each component is computed on its own from the same component
// of the operands, then normalize() combines them. Ranges are computed by templates for both
// widths; a bound that may wrap gives up its component and leaves the others.
#include <algorithm>

#include "isa/semantics.hpp"
#include "verifier/scalar.hpp"

namespace ebpf::verifier {

using isa::AluOp;
using isa::Width;

namespace {

template <typename U, typename S>
struct RangeOps {
    using R = Range<U, S>;
    static constexpr int kBits = sizeof(U) * 8;

    static R add(const R& a, const R& b) {
        R r;
        U lo, hi;
        const bool lo_wraps = __builtin_add_overflow(a.lo, b.lo, &lo);
        const bool hi_wraps = __builtin_add_overflow(a.hi, b.hi, &hi);
        if (lo_wraps == hi_wraps) r.lo = lo, r.hi = hi;
        S slo, shi;
        if (!__builtin_add_overflow(a.slo, b.slo, &slo) &&
            !__builtin_add_overflow(a.shi, b.shi, &shi)) {
            r.slo = slo, r.shi = shi;
        }
        return r;
    }

    static R sub(const R& a, const R& b) {
        R r;
        U lo, hi;
        const bool lo_wraps = __builtin_sub_overflow(a.lo, b.hi, &lo);
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
        if (!__builtin_mul_overflow(a.hi, b.hi, &hi)) {
            r.lo = static_cast<U>(a.lo * b.lo);
            r.hi = hi;
        }
        S p[4];
        if (!__builtin_mul_overflow(a.slo, b.slo, &p[0]) &&
            !__builtin_mul_overflow(a.slo, b.shi, &p[1]) &&
            !__builtin_mul_overflow(a.shi, b.slo, &p[2]) &&
            !__builtin_mul_overflow(a.shi, b.shi, &p[3])) {
            r.slo = *std::min_element(p, p + 4);
            r.shi = *std::max_element(p, p + 4);
        }
        return r;
    }

    // All bits up to the highest one of v.
    static U fill(U v) { return v == 0 ? U{0} : static_cast<U>(~U{0} >> std::countl_zero(v)); }

    static R bitwise_and(const R& a, const R& b) {
        R r;
        r.hi = std::min(a.hi, b.hi);
        return r;
    }
    static R bitwise_or(const R& a, const R& b) {
        R r;
        r.lo = std::max(a.lo, b.lo);
        r.hi = fill(a.hi | b.hi);
        return r;
    }
    static R bitwise_xor(const R& a, const R& b) {
        R r;
        r.hi = fill(a.hi | b.hi);
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
            least = 0;
            most = kBits - 1;
        }
    }
    static R shift_left(const R& a, const R& b) {
        R r;
        int least, most;
        counts(b, least, most);
        if (a.hi == 0 || std::countl_zero(a.hi) >= most) {
            r.lo = static_cast<U>(a.lo << least);
            r.hi = static_cast<U>(a.hi << most);
        }
        return r;
    }
    static R shift_right(const R& a, const R& b) {
        R r;
        int least, most;
        counts(b, least, most);
        r.lo = static_cast<U>(a.lo >> most);
        r.hi = static_cast<U>(a.hi >> least);
        return r;
    }
    static R shift_arithmetic(const R& a, const R& b) {
        R r;
        int least, most;
        counts(b, least, most);
        r.slo = static_cast<S>(a.slo >> (a.slo < 0 ? least : most));
        r.shi = static_cast<S>(a.shi >> (a.shi < 0 ? most : least));
        return r;
    }

    static R div(const R& a, const R& b) {
        R r;
        if (b.hi == 0) return R::constant(0);
        r.lo = b.lo == 0 ? U{0} : static_cast<U>(a.lo / b.hi);
        r.hi = static_cast<U>(a.hi / std::max<U>(b.lo, 1));
        return r;
    }
    static R mod(const R& a, const R& b) {
        R r;
        if (b.hi == 0 || a.hi < b.lo)
            return a;  // modulo 0 and modulo something larger change nothing
        r.hi = b.lo == 0 ? a.hi : std::min(a.hi, static_cast<U>(b.hi - 1));
        return r;
    }
    static R sdiv(const R& a, const R& b) {
        R r;
        if (b.slo != b.shi || b.slo == -1) return r;
        if (b.slo == 0) return R::constant(0);
        const S x = static_cast<S>(a.slo / b.slo);
        const S y = static_cast<S>(a.shi / b.slo);
        r.slo = std::min(x, y);
        r.shi = std::max(x, y);
        return r;
    }
    static R smod(const R& a, const R& b) {
        R r;
        if (b.slo != b.shi || b.slo == std::numeric_limits<S>::min()) return r;
        if (b.slo == 0) return a;
        const S most = static_cast<S>((b.slo < 0 ? -b.slo : b.slo) - 1);
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

// Known bits of the result; `a` and `b` are already truncated for 32-bit operations.
Tnum bits_of(AluOp op, Width width, Tnum a, Tnum b) {
    const Tnum top = width == Width::W64 ? Tnum::unknown() : Tnum{0, 0xffffffff};
    const int n = isa::bits(width);
    switch (op) {
        case AluOp::Add:
            return a + b;
        case AluOp::Sub:
            return a - b;
        case AluOp::Mul:
            return a * b;
        case AluOp::Or:
            return a | b;
        case AluOp::And:
            return a & b;
        case AluOp::Xor:
            return a ^ b;
        case AluOp::Lsh:
            return b.is_constant() ? a << static_cast<int>(b.value & (n - 1)) : top;
        case AluOp::Rsh:
            return b.is_constant() ? a >> static_cast<int>(b.value & (n - 1)) : top;
        case AluOp::Arsh:
            return b.is_constant() ? arithmetic_shift(a, static_cast<int>(b.value & (n - 1)), n)
                                   : top;
        case AluOp::Mov:
            return b;
        case AluOp::Div:
        case AluOp::SDiv:
        case AluOp::Mod:
        case AluOp::SMod:
            return top;
    }
    return top;
}

// The low half of a 64-bit result depends on the low halves of the operands alone.
bool low_half_is_local(AluOp op, const Scalar& b) {
    switch (op) {
        case AluOp::Add:
        case AluOp::Sub:
        case AluOp::Mul:
        case AluOp::Or:
        case AluOp::And:
        case AluOp::Xor:
        case AluOp::Mov:
            return true;
        case AluOp::Lsh:
            return b.umax() < 32;
        case AluOp::Div:
        case AluOp::SDiv:
        case AluOp::Mod:
        case AluOp::SMod:
        case AluOp::Rsh:
        case AluOp::Arsh:
            return false;
    }
    return false;
}

}  // namespace

Scalar alu(AluOp op, Width width, const Scalar& a, const Scalar& b) {
    if (op == AluOp::Mov) return width == Width::W64 ? b : b.low32();
    if (a.is_constant() && b.is_constant()) {
        return Scalar::constant(isa::eval_alu(op, width, a.value(), b.value()));
    }
    Scalar r;
    if (width == Width::W64) {
        r.bits = bits_of(op, width, a.bits, b.bits);
        r.r64 = RangeOps<u64, i64>::apply(op, a.r64, b.r64);
        if (low_half_is_local(op, b)) r.r32 = RangeOps<u32, i32>::apply(op, a.r32, b.r32);
    } else {
        r.bits = bits_of(op, width, a.bits.low32(), b.bits.low32()).low32();
        r.r32 = RangeOps<u32, i32>::apply(op, a.r32, b.r32);
        r.r64.hi = 0xffffffff;
    }
    r.normalize();
    return r;
}

Scalar negate(Width width, const Scalar& a) {
    return alu(AluOp::Sub, width, Scalar::constant(0), a);
}

Scalar truncate(const Scalar& a, int bytes) {
    if (bytes >= 8) return a;
    if (bytes == 4) return a.low32();
    return alu(AluOp::And, Width::W64, a, Scalar::constant((u64{1} << (8 * bytes)) - 1));
}

Scalar sign_extend(Width width, int from_bits, const Scalar& a) {
    const int unused = 64 - from_bits;
    const i64 lo = static_cast<i64>(u64{1} << 63) >> unused;
    const i64 hi = ~lo;
    Scalar r;
    if (a.smin() >= lo && a.smax() <= hi) {
        r = a;
    } else {
        r = from_bits == 32 ? Scalar::of_signed_range(a.r32.slo, a.r32.shi)
                            : Scalar::of_signed_range(lo, hi);
        r.bits = r.bits.intersect(arithmetic_shift(a.bits << unused, unused, 64));
        r.normalize();
    }
    return width == Width::W64 ? r : r.low32();
}

Scalar endian(isa::EndianOp op, Width width, const Scalar& a) {
    const Scalar low = truncate(a, isa::bytes(width));
    if (op == isa::EndianOp::ToLe) return low;
    Scalar r;
    r.bits = {isa::semantics::swap(width, low.bits.value),
              isa::semantics::swap(width, low.bits.mask)};
    r.normalize();
    return r;
}

}  // namespace ebpf::verifier
