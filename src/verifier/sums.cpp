// SPDX-License-Identifier: MIT
//
// Numbers that hang together: copies and multiples by their identity, and sums of two with what
// they were made of. Whatever a comparison teaches of one of them goes to the others.
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

// dst + src, which did not wrap, is `sum`. What a sum was made of does not outlive a checkpoint:
// that stands for states, too, in which it was made of something else.
void Analyzer::note_sum(const Reg& sum, const Reg& dst, const Reg& src) {
    const auto is_term = [](const Reg& r) { return r.id != 0 && !r.low && !r.num.is_constant(); };
    u64 most;
    const bool wraps = __builtin_add_overflow(dst.num.umax(), src.num.umax(), &most);
    if (!is_term(sum) || !is_term(dst) || !is_term(src) || (wraps && !planted(242))) return;
    const auto term = [](const Reg& r) { return Term{r.id, r.scale, r.delta}; };
    if (now_.sums.size() == kMaxSums) now_.sums.erase(now_.sums.begin());
    now_.sums.push_back({term(sum), {term(dst), term(src)}, needs_.combine(dst.need, src.need)});
}

// What the live registers say of the number.
Reg Analyzer::number_of(const State& s, const Term& term) {
    Reg number = Reg::scalar(Scalar::unknown(), term.id);
    number.scale = term.scale;
    number.delta = term.delta;
    for (unsigned r = 0; r < isa::kFramePointer; ++r) {
        const Reg& known = s.top().regs[r];
        if (!(flow_.live[branch_at_] >> r & 1) || known.number_id() != term.id) continue;
        const Scalar both = number.num.intersect(implied(known, number));
        if (both.empty()) continue;
        number.num = both;
        if (known.is_scalar()) number.need = needs_.combine(number.need, known.need);
    }
    return number;
}

// `number` lies between the two.
void Analyzer::learn_range(State& s, Reg number, u64 least, u64 most, u32 made_of) {
    const Scalar both = number.num.intersect(Scalar::of_range(least, most));
    if (least > most || both.empty() || both == number.num) return;
    number.num = both;
    number.need = needs_.combine(number.need, planted(243) ? 0 : made_of);
    spread_scalar(s, number, number);
    learn_lengths(s, number);
}

void Analyzer::learn_sums(State& s) {
    for (const Sum& sum : s.sums) {
        const Reg whole = number_of(s, sum.whole), a = number_of(s, sum.parts[0]),
                  b = number_of(s, sum.parts[1]);
        const u32 made_of =
            needs_.combine(sum.need, needs_.combine(whole.need, needs_.combine(a.need, b.need)));
        const auto less = [](u64 x, u64 y) { return x > y ? x - y : 0; };
        const auto rest = [&](const Reg& part, const Reg& other) {
            if (whole.num.umax() < other.num.umin()) return;
            learn_range(s, part, less(whole.num.umin(), other.num.umax()),
                        whole.num.umax() - other.num.umin() - (planted(240) ? 1 : 0), made_of);
        };
        rest(a, b);
        rest(b, a);
        u64 most;
        if (!__builtin_add_overflow(a.num.umax(), b.num.umax(), &most))
            learn_range(s, whole, a.num.umin() + b.num.umin(), most, made_of);
    }
}

}  // namespace ebpf::verifier
