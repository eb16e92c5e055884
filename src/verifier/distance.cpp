// SPDX-License-Identifier: MIT
//
// How far a number has moved since the head of an open loop. A constant that is added is counted in
// the identity's `delta`; when it is a variable (`p += 2 + length`), the sum gets an identity of
// its own, and here is noted by how much at least and at most it differs from what it was made of.
// Numbers are unsigned and a difference is noted only if nothing wrapped, so a distance of at least
// 1 is progress (widen.cpp).
#include <algorithm>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

constexpr i64 kFar = i64{1} << 40;  // so that sums of distances cannot overflow

bool is_near(i64 distance) {
    return distance > -kFar && distance < kFar;
}

// Whether `sum`, which is x + c modulo 2^64, did not wrap.
bool is_plain_sum(const Scalar& sum, i64 c) {
    return c >= 0 ? sum.umin() >= static_cast<u64>(c)
                  : sum.umax() <= ~u64{0} - (u64{0} - static_cast<u64>(c));
}

bool is_plain(const Reg& number) {
    return number.number_id() != 0 && number.scale == 1 && !number.low && is_near(number.delta) &&
           is_plain_sum(number.num, number.delta);
}

}  // namespace

// Whether the identity is one of an open loop's head, or was made of one.
bool Analyzer::follows_a_head(u32 id) const {
    if (distances_.contains(id)) return true;
    return std::ranges::any_of(open_loops_, [&](u32 loop) {
        const Checkpoint& head = *path_[loops_[loop].path_index].checkpoint;
        return id >= head.first_id && id < head.next_id;
    });
}

// An identity for base + by, or base - by; 0 when nothing is known of it.
u32 Analyzer::moved_identity(const Reg& base, const Scalar& by, bool subtract) {
    if (open_loops_.empty() || !is_plain(base) || !follows_a_head(base.number_id())) return 0;
    if (!is_near(by.smin()) || !is_near(by.smax())) return 0;
    if (planted(230)) subtract = false;
    const i64 least = subtract ? -by.smax() : by.smin(), most = subtract ? -by.smin() : by.smax();
    const u64 room_below = base.num.umin(), room_above = ~u64{0} - base.num.umax();
    if (least < 0 && static_cast<u64>(-least) > room_below) return 0;
    if (most > 0 && static_cast<u64>(most) > room_above) return 0;
    const u32 id = fresh_id();
    distances_[id] = {base.number_id(), least + base.delta, most + base.delta};
    return id;
}

// From the first value with an identity below `below` that this one was made of.
std::optional<Distance> Analyzer::distance(u32 id, u32 below) const {
    Distance sum{id, 0, 0};
    while (sum.from >= below) {
        const auto step = distances_.find(sum.from);
        if (step == distances_.end()) return std::nullopt;
        sum = {step->second.from, sum.least + step->second.least, sum.most + step->second.most};
    }
    return sum;
}

// By how much `back`, whose constant part is `moved` more, is larger than the head's number.
std::optional<Distance> Analyzer::growth(const Reg& head, const Reg& back, i64 moved) const {
    if (!is_plain(head) || !is_plain(back) || !is_plain_sum(back.num, -moved)) return std::nullopt;
    const std::optional<Distance> since = distance(back.number_id(), head.number_id() + 1);
    if (!since || since->from != head.number_id()) return std::nullopt;
    const i64 more = back.delta + moved - head.delta;
    return Distance{since->from, since->least + more, since->most + more};
}

// Progress may rest on how far `old` is from a head: `now`, which stands for it moved by a
// constant, must not be nearer or farther.
bool Analyzer::covers_distance(u32 identity_below, const Reg& old, const Reg& now,
                               i64 moved) const {
    if (distances_.empty() || planted(231)) return true;
    const std::optional<Distance> was = distance(old.number_id(), identity_below);
    if (!was || was->from == old.number_id()) return true;
    Reg base = old;
    base.num = Scalar::constant(0);
    base.id = base.var = was->from;
    base.delta = 0;
    if (old.scale != 1 || old.low) return false;
    const std::optional<Distance> is = growth(base, now, moved - old.delta);
    return is && is->least >= was->least && is->most <= was->most;
}

}  // namespace ebpf::verifier
