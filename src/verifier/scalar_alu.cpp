// SPDX-License-Identifier: MIT
//
// Transfer functions of arithmetic. Each component is computed on its own from the same component
// of the operands (scalar_ranges.hpp, tnum.hpp), then normalize() combines them.
#include <algorithm>

#include "isa/semantics.hpp"
#include "verifier/scalar.hpp"
#include "verifier/scalar_ranges.hpp"

namespace ebpf::verifier {

using isa::Width;

namespace {

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
        case AluOp::Arsh:
            return false;
        case AluOp::Rsh:
            return planted(21);
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
        Range<u64, i64> range = a.r64;
        // What is shifted out does not matter.
        if (op == AluOp::Lsh && b.is_constant() && b.value() % 64 >= 32)
            range = {.lo = a.r32.lo, .hi = a.r32.hi, .slo = a.r32.slo, .shi = a.r32.shi};
        r.r64 = RangeOps<u64, i64>::apply(op, range, b.r64);
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
    if ((a.smin() >= lo && a.smax() <= hi) || planted(22)) {
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
