// SPDX-License-Identifier: MIT
//
// Closing loops. From the states of two rounds at a loop's head a general one is made: a value that
// changed gets a range up to the next likely bound, and a fresh identity. Two values that changed
// by the same amount get one identity together, so that a test of the counter still limits the
// index that runs beside it.
//
// A round from the general state that comes back inside it proves that nothing else can happen.
// That the loop ends is shown by a counter: with the identity of the general state's value, the
// value that comes back differs from it by a constant, always in one direction and without
// wrapping, and its range is finite.
#include <algorithm>
#include <map>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

constexpr u64 kTypeLimits[] = {
    0, 1, 0xff, 0xffff, u64{kMaxPacketSize} + 0xffff, 0xffffffff, 0x7fffffffffffffff, ~u64{0}};
constexpr u64 kNoLimits[] = {0, 1, ~u64{0}};

u64 next_above(std::span<const u64> thresholds, u64 v) {
    return *std::ranges::lower_bound(thresholds, v);  // the last threshold is the largest number
}

u64 next_below(std::span<const u64> thresholds, u64 v) {
    return *std::prev(std::ranges::upper_bound(thresholds, v));  // the first is 0
}

struct Widening {
    std::vector<u64> thresholds;
    u32* next_id;
    std::map<std::array<i64, 3>, u32> identities, packets;
    std::vector<WidenedNumber> numbers;

    Scalar range(const Scalar& a, const Scalar& b) const {
        Scalar r;
        r.bits = a.bits == b.bits ? a.bits : a.bits.join(b.bits).alignment_only();
        r.r64.hi = b.umax() > a.umax() ? next_above(thresholds, b.umax()) : a.umax();
        r.r64.lo = b.umin() < a.umin() ? next_below(thresholds, b.umin()) : a.umin();
        r.r64.shi = std::max(a.smax(), b.smax());
        r.r64.slo = std::min(a.smin(), b.smin());
        if (b.smax() > a.smax()) {
            r.r64.shi = std::numeric_limits<i64>::max();
            for (const u64 t : thresholds) {
                const i64 s = static_cast<i64>(t);
                if (s >= b.smax()) r.r64.shi = std::min(r.r64.shi, s);
            }
        }
        if (b.smin() < a.smin()) {
            r.r64.slo = std::numeric_limits<i64>::min();
            for (const u64 t : thresholds) {
                const i64 s = static_cast<i64>(t);
                if (s <= b.smin()) r.r64.slo = std::max(r.r64.slo, s);
            }
        }
        r.normalize();
        return r;
    }

    // The general value of a and b; false when they are of different kinds.
    bool merge(const Reg& a, const Reg& b, Reg& out) {
        if (a.kind == Kind::Uninit || b.kind == Kind::Uninit) {
            out = Reg{};
            return true;
        }
        if (a.kind != b.kind) return false;
        out = b;
        if (a.is_scalar()) {
            out.off = std::min(a.off, b.off);
            if (a.frame != b.frame || a.index != b.index || a.size != b.size) out.forget_length();
            out.object = same_number(a, b, 0) ? a.object & b.object : 0;
            if (a.num == b.num && (a.num.is_constant() || same_number(a, b, 0))) {
                if (a.num.is_constant()) out.id = 0;
                return true;
            }
            out.num = range(a.num, b.num);
            if (a.id != 0 && same_number(a, b, 0)) return true;
            out.id = identify(a, b, 0, out);
            return true;
        }
        if (a.index != b.index || a.frame != b.frame || a.object != b.object || a.ref != b.ref)
            return false;
        if (a.kind == Kind::Iterator) {
            if (a.id == b.id && a.delta == b.delta) return true;
            out.id = (*next_id)++;
            out.delta = 0;
            return true;
        }
        out.nullable = a.nullable || b.nullable;
        if ((out.nullable || a.kind == Kind::MapValue) && a.id != b.id) out.id = (*next_id)++;
        // b's place, counted from a's constant part.
        const i64 moved = i64{b.off} - a.off;
        if (moved != 0 && !a.has_arithmetic()) return false;
        if (!a.is_packet() && a.size != b.size) return false;
        if (a.is_packet()) {
            out.set_reach(std::min(a.reach(), b.reach_from(moved)));
            if (moved != 0 || a.id != b.id) {
                u32& id = packets[{a.id, b.id, moved}];
                if (id == 0) id = (*next_id)++;
                out.id = id;
            }
        }
        if (moved == 0 && a.num == b.num && (a.num.is_constant() || same_number(a, b, 0)))
            return true;
        if (!a.has_arithmetic()) return false;
        out.off = a.off;
        out.num = range(a.num, verifier::alu(isa::AluOp::Add, isa::Width::W64, b.num,
                                             Scalar::constant(static_cast<u64>(moved))));
        out.var = a.var != 0 && same_number(a, b, moved) ? a.var : identify(a, b, moved, out);
        return out.num.smin() > -kMaxOffset && out.num.smax() < kMaxOffset;
    }

    // b's number, moved by a constant, is a's in terms of one identity.
    static bool same_number(const Reg& a, const Reg& b, i64 moved) {
        return a.number_id() == b.number_id() && a.scale == b.scale && a.low == b.low &&
               a.delta == static_cast<i64>(static_cast<u64>(b.delta) + static_cast<u64>(moved));
    }

    // An identity x and a form of `out` so that out's number is a's with x's old value and b's with
    // its new one. Values with one old and one new value of x share it: those that started as
    // constants and moved by constants all follow the number of rounds.
    u32 identify(const Reg& a, const Reg& b, i64 moved, Reg& out) {
        const bool was = a.num.is_constant(), is = b.num.is_constant();
        const u32 id_a = was ? 0 : a.number_id(), id_b = is ? 0 : b.number_id();
        const u64 at_a = was ? a.num.value() : static_cast<u64>(a.delta);
        const u64 at_b = (is ? b.num.value() : static_cast<u64>(b.delta)) + static_cast<u64>(moved);
        out.low = (!was && a.low) || (!is && b.low);
        i64 change = static_cast<i64>(at_b - at_a);
        if (out.low) change = static_cast<i32>(change);
        out.scale = was && is ? change : was ? b.scale : a.scale;
        out.delta = static_cast<i64>(at_a);
        const bool known = (was || id_a != 0) && (is || id_b != 0) && out.scale != 0;
        const bool alike = was || is || a.scale == b.scale;
        if (!known || !alike || change % out.scale != 0) {
            out.scale = 1;
            out.delta = 0;
            out.low = false;
            numbers.push_back({*next_id, value(a, 0), value(b, moved)});
            return (*next_id)++;
        }
        u32& id = identities[{id_a, id_b, change / out.scale}];
        if (id != 0) return id;
        id = (*next_id)++;
        WidenedNumber number{id, {}, {}};
        if (!was) number.was.add(id_a, 1);
        if (!is) number.is.add(id_b, 1);
        number.is.add(change / out.scale);
        if (out.low) number.was.invalidate(), number.is.invalidate();
        numbers.push_back(number);
        return id;
    }

    // The number of `r`, moved by a constant; that it does not wrap is seen to by its user.
    static Expression value(const Reg& r, i64 moved) {
        Expression e;
        if (r.num.is_constant()) {
            e.add(static_cast<i64>(r.num.value() + static_cast<u64>(moved)));
            return e;
        }
        e.add(r.number_id(), r.scale);
        e.add(static_cast<i64>(static_cast<u64>(r.delta) + static_cast<u64>(moved)));
        if (r.number_id() == 0 || r.low) e.invalidate();
        return e;
    }

    std::shared_ptr<Stack> merge(const std::shared_ptr<Stack>& a, const std::shared_ptr<Stack>& b) {
        if (a == b) return a;
        auto out = std::make_shared<Stack>(a->cells.sum());
        for (unsigned w = 0; w < 8; ++w) out->init[w] = a->init[w] & b->init[w];
        const auto forget = [&](const Cell& c) { out->set_uninit(c.off, c.size); };
        for (const Cell& c : b->cells) {
            const Cell* same = a->exact(c.off, c.size);
            Reg merged;
            if (same != nullptr && merge(same->reg, c.reg, merged) && merged.kind != Kind::Uninit) {
                out->cells.insert({c.off, c.size, merged});
            } else if (!c.reg.is_scalar() || a->has_pointer(c.off, c.size)) {
                forget(c);
            }
        }
        for (const Cell& c : a->cells) {
            if (!c.reg.is_scalar() && out->exact(c.off, c.size) == nullptr) forget(c);
        }
        // Bytes of a cell that another cell's loss made unwritten are no cell any more.
        std::vector<Cell> lost;
        std::ranges::copy_if(out->cells, std::back_inserter(lost),
                             [&](const Cell& c) { return !out->all_init(c.off, c.size); });
        for (const Cell& c : lost) out->cells.erase(c);
        return out;
    }
};

}  // namespace

// Where the ranges of this loop's variables are likely to end: at the constants that it compares
// with, and at numbers that stayed the same, since a bound may be a variable.
std::vector<u64> Analyzer::loop_thresholds(const State& before, const State& now) const {
    std::vector<u64> out = {0, u64{kMaxPacketSize}, u64{kMaxPacketSize} + 0xffff, ~u64{0}};
    const auto add = [&](u64 v) {
        for (const u64 d : {~u64{0}, u64{0}, u64{1}}) {
            out.push_back(v + d);
            out.push_back(static_cast<u32>(v + d));
        }
    };
    const bool callback = at_callback_entry(now);
    const ir::Subprogram& all = program_.subprograms[now.top().subprogram];
    const u32 first = callback ? all.begin : flow_.loops.first[now.pc];
    const u32 last = callback ? all.end - 1 : flow_.loops.last[now.pc];
    for (u32 i = first; i <= last && out.size() < kMaxThresholds; ++i) {
        if (program_.insns[i].form == isa::Form::JmpImm)
            add(static_cast<u64>(program_.insns[i].imm));
    }
    for (std::size_t f = 0; f < now.frames.size(); ++f) {
        for (int r = 0; r < isa::kFramePointer; ++r) {
            const Reg &was = before.frames[f].regs[r], &is = now.frames[f].regs[r];
            if (is.is_scalar() && was.is_scalar() && is.num == was.num) add(is.num.umax());
        }
        for (const Cell& c : now.frames[f].stack->cells) {
            const Cell* same = before.frames[f].stack->exact(c.off, c.size);
            if (same != nullptr && c.reg.is_scalar() && same->reg.num == c.reg.num)
                add(c.reg.num.umax());
        }
    }
    std::ranges::sort(out);
    return out;
}

std::optional<State> Analyzer::widen(const State& before, const State& now, u32 attempts) {
    if (before.refs != now.refs || before.lock != now.lock) return std::nullopt;
    Widening w;
    w.next_id = &next_id_;
    const u32 first_id = next_id_;
    if (attempts < 8) {
        w.thresholds = loop_thresholds(before, now);
    } else if (attempts < 13) {
        w.thresholds.assign(std::begin(kTypeLimits), std::end(kTypeLimits));
    } else {
        w.thresholds.assign(std::begin(kNoLimits), std::end(kNoLimits));
    }
    State out = now;
    out.may_goto = std::min(before.may_goto, now.may_goto);
    for (std::size_t f = 0; f < now.frames.size(); ++f) {
        const RegSet live = live_in(now, f);
        for (int r = 0; r < isa::kFramePointer; ++r) {
            if (!(live >> r & 1)) {
                out.frames[f].regs[r] = Reg{};
            } else if (!w.merge(before.frames[f].regs[r], now.frames[f].regs[r],
                                out.frames[f].regs[r])) {
                return std::nullopt;
            }
        }
        out.frames[f].stack = w.merge(before.frames[f].stack, now.frames[f].stack);
    }
    if (before.packet_size != now.packet_size) {
        out.packet_size = next_id_++;
        WidenedNumber size{out.packet_size, {}, {}};
        size.was.add(before.packet_size, 1);
        size.is.add(now.packet_size, 1);
        w.numbers.push_back(size);
    }
    narrow_together(out, first_id);
    widen_relations(before, now, out, w.numbers, attempts == 1);
    return out;
}

// Each value of a general state was given a range of its own. Those with one identity move
// together, so that the range of one limits the others: the thresholds of a loop are those of its
// counter, not of the pointer that runs beside it.
void Analyzer::narrow_together(State& general, u32 first_id) {
    std::vector<Reg> moving;
    const auto note = [&](const Reg& r) {
        if (r.is_scalar() && r.id >= first_id) moving.push_back(r);
    };
    for (const Frame& frame : general.frames) {
        std::ranges::for_each(frame.regs, note);
        for (const Cell& c : frame.stack->cells) note(c.reg);
    }
    for (const Reg& r : moving) spread_scalar(general, r, r);
}

namespace {

// `state` is a State or a KeptState.
const Reg* at(const auto& state, const Rank& rank) {
    if (rank.reg >= 0) return &state.reg(rank.frame, static_cast<unsigned>(rank.reg));
    const Cell* cell = state.frames[rank.frame].stack->cells.at(rank.off);
    return cell == nullptr ? nullptr : &cell->reg;
}

}  // namespace

// Whether the value came back changed in one direction, without wrapping and by at least a
// constant, and from a range that allows few such steps; `rounds` of them at most went by since the
// head.
bool Analyzer::progresses(const Reg& head, const Reg& back, u32 rounds, bool first, Rank& rank,
                          bool& too_long) const {
    // An iterator ends by itself, after at most 2^32 steps.
    if (head.kind == Kind::Iterator && back.kind == Kind::Iterator)
        return head.id == back.id && back.delta > head.delta;
    if (head.kind != back.kind || !(head.is_scalar() || head.has_arithmetic())) return false;
    const i64 moved = head.is_scalar() ? 0 : i64{back.off} - head.off;
    const Scalar num = head.is_scalar() ? back.num
                                        : verifier::alu(isa::AluOp::Add, isa::Width::W64, back.num,
                                                        Scalar::constant(static_cast<u64>(moved)));
    // Of low halves only: they must be all there is.
    const bool low = head.low;
    if (low && (head.num.umax() > 0xffffffff || num.umax() > 0xffffffff)) return false;
    const u64 largest = low ? 0xffffffff : ~u64{0};
    i64 least = 0;  // step
    bool as_unsigned = true, as_signed = false;
    if (head.number_id() == 0) return false;
    if (head.number_id() == back.number_id()) {
        if (head.scale != back.scale || (back.low && !head.low)) return false;
        least = static_cast<i64>(static_cast<u64>(back.delta) + static_cast<u64>(moved) -
                                 static_cast<u64>(head.delta));
        if (low) least = static_cast<i32>(least);
        if ((least == 0 && !planted(213)) || least == std::numeric_limits<i64>::min()) return false;
        if (planted(213)) return true;
        const u64 size = static_cast<u64>(least > 0 ? least : -least);
        as_unsigned = least > 0 ? num.umin() >= size || head.num.umax() <= largest - size
                                : num.umax() <= largest - size || head.num.umin() >= size;
        const i64 smin = low ? num.r32.slo : num.smin(), smax = low ? num.r32.shi : num.smax();
        as_signed = size <= (least > 0 ? static_cast<u64>(smin) + (largest >> 1) + 1
                                       : (largest >> 1) - static_cast<u64>(smax));
    } else {
        const std::optional<Distance> grown = growth(head, back, moved);
        if (!grown || (grown->least < (planted(232) ? 0 : 1) && grown->most >= 0)) return false;
        least = grown->least > 0 ? grown->least : grown->most;
    }
    const bool up = least > 0;
    if (!first && up != rank.up) return false;
    const u64 size = static_cast<u64>(up ? least : -least);
    rank.up = up;
    rank.least = first ? size : std::min(rank.least, size);
    rank.back = first ? num : rank.back.join(num);
    rank.as_unsigned &= as_unsigned;
    rank.as_signed &= as_signed;
    // All rounds so far are judged together, so that one order of the numbers serves all of them.
    const auto few = [&](u64 width) {
        rank.rounds = width / rank.least;
        return rank.rounds < kMaxIterations / rounds;
    };
    if (rank.as_unsigned && few(rank.back.umax() - rank.back.umin())) return true;
    const i64 smin = low ? rank.back.r32.slo : rank.back.smin(),
              smax = low ? rank.back.r32.shi : rank.back.smax();
    if (rank.as_signed && few(static_cast<u64>(smax) - static_cast<u64>(smin))) return true;
    too_long |= rank.as_unsigned || rank.as_signed;
    return false;
}

// The current state, which `head` covers, comes back to it. True when the loop makes progress.
bool Analyzer::close(Checkpoint& head, bool& too_long) {
    std::vector<Rank> candidates = head.ranks;
    if (!head.closed) {
        candidates.push_back({0, kMayGotoRank, 0, true});
        for (u32 f = 0; f < head.state.frames.size(); ++f) {
            const KeptFrame& frame = head.state.frames[f];
            for (int r = 0; r < isa::kFramePointer; ++r) candidates.push_back({f, r, 0, true});
            for (const Cell& c : frame.stack->cells) candidates.push_back({f, -1, c.off, true});
        }
    }
    std::vector<Rank> kept;
    for (Rank rank : candidates) {
        if (rank.reg == kMayGotoRank) {
            // A run passes may_goto a limited number of times.
            if (now_.may_goto > head.state.may_goto || (planted(227) && now_.may_goto != 0))
                kept.push_back(rank);
            continue;
        }
        const Reg* before = at(head.state, rank);
        const Reg* back = at(now_, rank);
        if (before == nullptr || back == nullptr) continue;
        const u32 id = before->kind == Kind::Iterator ? before->id : before->number_id();
        if (id < head.first_id || id >= head.next_id) continue;
        if (!progresses(*before, *back, head.passes + 1, !head.closed, rank, too_long)) continue;
        kept.push_back(rank);
    }
    if (kept.empty() && !planted(212)) return false;
    head.closed = true;
    head.ranks = std::move(kept);
    return true;
}

}  // namespace ebpf::verifier
