// SPDX-License-Identifier: MIT
//
// Numbers that hang together by their identity: copies and multiples. Whatever a comparison teaches
// of one of them goes to the others.
#include <algorithm>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

const Scalar kEverything = Scalar::unknown();

Scalar plus(const Scalar& a, u64 b) {
    return b == 0 ? a : verifier::alu(isa::AluOp::Add, isa::Width::W64, a, Scalar::constant(b));
}

i64 divide_down(i64 a, i64 b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

// What the number of `r` must be, when that of `known`, which shares its identity, is known:
// with x the identity's value, known == s * x + d and r == t * x + e.
Scalar implied(const Reg& known, const Reg& r) {
    const i64 s = known.scale, t = r.scale;
    if (known.low || r.low) {
        if (t % s != 0) return kEverything;
        using isa::AluOp;
        const auto alu32 = [](AluOp op, const Scalar& a, i64 b) {
            return verifier::alu(op, isa::Width::W32, a, Scalar::constant(static_cast<u64>(b)));
        };
        const Scalar low =
            alu32(AluOp::Add, alu32(AluOp::Mul, alu32(AluOp::Sub, known.num, known.delta), t / s),
                  r.delta);
        Scalar half = kEverything;
        half.bits = {low.bits.value, low.bits.mask | ~u64{0xffffffff}};
        half.r32 = low.r32;
        half.normalize();
        return half;
    }
    if (s == t)
        return plus(known.num,
                    planted(109) ? 0 : static_cast<u64>(r.delta) - static_cast<u64>(known.delta));
    const Scalar sx = plus(known.num, u64{0} - static_cast<u64>(known.delta));
    if (t % s == 0) {
        const Scalar factor = Scalar::constant(static_cast<u64>(t / s));
        return plus(verifier::alu(isa::AluOp::Mul, isa::Width::W64, sx, factor),
                    static_cast<u64>(r.delta));
    }
    if (s % t != 0) return kEverything;
    // (t * x) * (s / t) == s * x without wrapping, so that it may be divided.
    const i64 k = s / t;
    const Scalar tx = plus(r.num, u64{0} - static_cast<u64>(r.delta));
    i64 low, high;
    if (__builtin_mul_overflow(tx.smin(), k, &low) || __builtin_mul_overflow(tx.smax(), k, &high) ||
        sx.smin() == std::numeric_limits<i64>::min())  // which has no negative
        return kEverything;
    low = k > 0 ? -divide_down(-sx.smin(), k) : -divide_down(-sx.smax(), k);
    high = k > 0 ? divide_down(sx.smax(), k) : divide_down(sx.smin(), k);
    if (low > high) return kEverything;
    return plus(Scalar::of_signed_range(low, high), static_cast<u64>(r.delta));
}

}  // namespace

// Whoever shares the scalar's identity learns what it learned.
void Analyzer::spread_scalar(State& s, const Reg& before, const Reg& after) {
    if (before.id == 0) return;
    s.for_each_of(
        before.id,
        [&](const Reg& r) {
            return r.number_id() == before.id &&
                   !(r.is_scalar() && r.num == after.num && r.delta == after.delta &&
                     r.scale == after.scale && r.low == after.low);
        },
        [&](Reg& r) {
            const Scalar both = r.num.intersect(implied(after, r));
            if (both.empty() || both == r.num) return;
            r.num = both;
            if (r.is_scalar()) {
                r.need = needs_.combine(r.need, after.need);
            } else {
                need(after);  // where a pointer points always counts
            }
        });
}

}  // namespace ebpf::verifier
