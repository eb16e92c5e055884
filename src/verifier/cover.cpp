// SPDX-License-Identifier: MIT
//
// When a state is covered by one from which all paths were followed: each concrete state that it
// stands for is one of the other's, as far as anything from there on depends on it. What a finished
// checkpoint never read (dead registers, unread stack) or read without relying on its range
// (needs.hpp) does not count. An exact comparison counts every live value: the marks of a
// checkpoint inside a loop are complete only when the loop is.
#include <algorithm>
#include <span>
#include <utility>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

// Registers count modulo 2^64, and so do the distances between them.
i64 wrapping_difference(u64 a, u64 b) {
    return static_cast<i64>(a - b);
}

// Bit per granule of 4 bytes to bit per byte; 16 granules make a word.
constexpr u64 spread(u64 granules) {
    u64 x = granules & 0xffff;
    x = (x | x << 24) & 0x000000ff000000ff;
    x = (x | x << 12) & 0x000f000f000f000f;
    x = (x | x << 6) & 0x0303030303030303;
    x = (x | x << 3) & 0x1111111111111111;
    return x * 0xf;
}
static_assert(spread(0x8001) == 0xf00000000000000f && spread(0xffff) == ~u64{0} &&
              spread(2) == 0xf0);

using Bytes512 = std::array<u64, 8>;

// `size` is a cell's, which is less than a word has bits.
bool any(const Bytes512& bytes, int off, int size) {
    const unsigned word = static_cast<unsigned>(off) / 64, bit = static_cast<unsigned>(off) % 64;
    u64 from = bytes[word] >> bit;
    if (bit + static_cast<unsigned>(size) > 64) from |= bytes[word + 1] << (64 - bit);
    return (from & ((u64{1} << size) - 1)) != 0;
}

// The bytes that are written and among those read.
Bytes512 read_bytes(const Bytes512& init, const Granules& read) {
    Bytes512 out;
    for (unsigned w = 0; w < 8; ++w)
        out[w] = init[w] == 0 ? 0 : init[w] & spread(read[w / 4] >> (16 * (w % 4)));
    return out;
}

}  // namespace

// `old` must stand for one value of the new state throughout: factor * now + difference.
bool Analyzer::map_id(CoverQuery& query, u32 old, i64 now, i64 difference, i64 factor) {
    for (const CoverQuery::Meaning& m : query.ids) {
        if (m.old == old) return m.now == now && m.difference == difference && m.factor == factor;
    }
    query.ids.push_back({old, now, difference, factor});
    return true;
}

// The same for the identity of a number, `moved` by a constant. A multiple is looked for; when
// there is none, nobody else may share the identity.
bool Analyzer::map_number(CoverQuery& query, const Reg& old, const Reg& now, u64 moved) {
    const u32 old_id = old.number_id();
    const bool constant = now.num.is_constant();
    const u32 now_id = constant ? 0 : now.number_id();
    const u64 delta = (constant ? now.num.value() : static_cast<u64>(now.delta)) + moved;
    i64 difference = wrapping_difference(delta, static_cast<u64>(old.delta));
    if (old.low) difference = static_cast<i32>(difference);
    const i64 scale = constant ? 0 : now.scale;
    const bool as_wide = constant || old.low || !now.low;
    if (old_id < query.identity_below)
        return !constant && now_id == old_id && difference == 0 && scale == old.scale && as_wide;
    if (query.identity_below != 0 &&
        !covers_distance(query.identity_below, old, now, static_cast<i64>(moved)))
        return false;
    const bool known = as_wide && (constant || now_id != 0);
    if (!known || scale % old.scale != 0 || difference % old.scale != 0)
        return map_id(query, old_id, query.unique--, 0);
    return map_id(query, old_id, now_id, difference / old.scale, scale / old.scale);
}

bool Analyzer::covers_reg(CoverQuery& query, const Reg& old, const Reg& now, bool exact) {
    // Of a stale pointer numbers may be made, but not of what was never written.
    if (old.kind == Kind::Uninit)
        return !is_stale(old) || now.kind != Kind::Uninit || is_stale(now);
    if (old.kind != now.kind) return false;
    if (old.kind == Kind::Scalar) {
        if (old.has_length() && (old.frame != now.frame || (old.off > now.off && !planted(234)) ||
                                 old.size != now.size || (old.index == 0) != (now.index == 0) ||
                                 (old.index != 0 && !map_id(query, old.index, now.index, 0)))) {
            return false;
        }
        if (!exact && !needs_.marked(old.need)) return true;
        if (!old.num.contains(now.num) && !planted(113)) return false;
        if ((old.object & ~now.object) != 0) return false;
        return old.id == 0 || map_number(query, old, now, 0);
    }
    if (old.index != now.index || old.frame != now.frame || old.object != now.object) return false;
    // The constant part may have gone into the variable one.
    const i64 moved = i64{now.off} - old.off;
    if (moved != 0 && (!old.has_arithmetic() || (old.is_packet() && old.id == 0))) return false;
    if (now.nullable && !old.nullable) return false;
    if ((old.ref == 0) != (now.ref == 0) || (old.ref != 0 && !map_id(query, old.ref, now.ref, 0)))
        return false;
    const Scalar num = moved == 0 ? now.num
                                  : verifier::alu(isa::AluOp::Add, isa::Width::W64, now.num,
                                                  Scalar::constant(static_cast<u64>(moved)));
    if (!old.num.contains(num)) return false;
    if (old.is_packet()
            ? old.reach() > std::max<i64>(now.reach_from(moved), planted(238) ? 0 : -1) &&
                  !planted(115)
            : old.size != now.size)
        return false;
    if (old.var != 0 && !map_number(query, old, now, static_cast<u64>(moved))) return false;
    // Progress of a loop may rest on it.
    if (old.kind == Kind::Iterator && old.id < query.identity_below &&
        (old.id != now.id || old.delta != now.delta))
        return false;
    const bool lockable = old.kind == Kind::MapValue && map(old.index).spin_lock_offset >= 0;
    if (old.is_packet() ? old.id == 0 && now.id == 0 : !old.nullable && !lockable) return true;
    // Known not to be null: no other pointer that the old state tests together with it may stand
    // for it.
    if (old.nullable && !now.nullable) return map_id(query, old.id, query.unique--, 0);
    if (old.id != 0 && old.id < query.identity_below) return old.id == now.id;
    if (old.is_packet() && old.id == 0) return now.id == 0;
    return map_id(query, old.id, now.id, moved);
}

bool Analyzer::covers_stack(CoverQuery& query, const Stack& old, const Stack& now,
                            const Granules& read) {
    const Bytes512 needed = query.exact ? old.init : read_bytes(old.init, read);
    for (unsigned w = 0; w < 8; ++w) {
        if ((needed[w] & ~now.init[w]) && !planted(116)) return false;
    }
    // Cells that begin in these 64 bytes and may touch what is needed.
    const auto asked = [&](const Cells& cells, unsigned w) {
        const bool any = needed[w] != 0 || (w + 1 < Cells::kChunks && needed[w + 1] != 0);
        return any ? cells.chunk(w) : std::span<const Cell>();
    };
    // A pointer may stand only where the old state has one.
    for (unsigned w = 0; w < Cells::kChunks; ++w) {
        for (const Cell& c : asked(now.cells, w)) {
            if (c.reg.is_scalar() || !any(needed, c.off, c.size)) continue;
            const Cell* before = old.exact(c.off, c.size);
            if (before == nullptr || before->reg.kind == Kind::Scalar) return false;
        }
    }
    const auto covers_cell = [&](const Cell& c) {
        if (c.reg.kind == Kind::Uninit || !any(needed, c.off, c.size)) return true;
        const Cell* same = now.exact(c.off, c.size);
        if (same != nullptr) return covers_reg(query, c.reg, same->reg, query.exact);
        if (!c.reg.is_scalar() || c.reg.has_length()) return false;
        if (!query.exact && !needs_.marked(c.reg.need)) return true;
        if (c.reg.object != 0 || !c.reg.num.contains(Scalar::of_size(c.size))) return false;
        if (c.reg.id != 0 && query.identity_below != 0 && distance(c.reg.id, query.identity_below))
            return false;
        return c.reg.id == 0 || map_id(query, c.reg.id, query.unique--, 0);
    };
    for (unsigned w = 0; w < Cells::kChunks; ++w) {
        if (!std::ranges::all_of(asked(old.cells, w), covers_cell)) return false;
    }
    return true;
}

bool Analyzer::covers(const Checkpoint& old, const State& now, bool exact, u32 identity_below) {
    if (!same_calls(old.state, now) || old.state.refs.size() != now.refs.size()) return false;
    CoverQuery query{exact, identity_below, {}, -1};
    if (old.state.lock.held != now.lock.held || old.state.lock.map != now.lock.map ||
        (now.lock.held && !map_id(query, old.state.lock.id, now.lock.id, 0)))
        return false;
    // The proof of progress from `old` on may rest on it.
    if (identity_below != 0 && now.may_goto < old.state.may_goto && !planted(229)) return false;
    for (std::size_t i = 0; i < now.refs.size(); ++i) {
        if (!map_id(query, old.state.refs[i], now.refs[i], 0)) return false;
    }
    for (std::size_t f = now.frames.size(); f-- > 0;) {
        const KeptFrame& frame = old.state.frames[f];
        if (planted(117) && f + 1 < now.frames.size()) continue;
        for (unsigned r = 0; r < isa::kFramePointer; ++r) {
            if ((frame.numbers >> r & 1) && !now.reg(f, r).is_scalar()) return false;
            if ((frame.kept >> r & 1) &&
                !covers_reg(query, old.state.reg(f, r), now.reg(f, r), exact))
                return false;
        }
    }
    for (std::size_t f = now.frames.size(); f-- > 0;) {
        const Granules read = exact ? Granules{} : old.state.frames[f].read;
        const Stack* stack = old.state.frames[f].stack.get();
        if (stack != nullptr && !covers_stack(query, *stack, *now.frames[f].stack, read))
            return false;
    }
    return covers_relations(query, old.state, now);
}

// Forgets what no comparison with `done` looks at: stack that its paths, which have all ended,
// never read, and numbers whose ranges never mattered. Of stack without a cell it is known to hold
// some number, which is all that is left to say of those.
void Analyzer::shrink(Checkpoint& done) const {
    const auto matters = [&](const Reg& r) {
        return !r.is_scalar() || r.has_length() || (needs_.marked(r.need) && !planted(125));
    };
    std::vector<Reg> regs;
    auto next = done.state.regs.begin();
    for (std::size_t f = 0; f < done.state.frames.size(); ++f) {
        KeptFrame& frame = done.state.frames[f];
        const RegSet had = std::exchange(frame.kept, RegSet{0});
        frame.first = static_cast<u16>(regs.size());
        for (unsigned r = 0; r < isa::kFramePointer; ++r) {
            if (!(had >> r & 1)) continue;
            const Reg& reg = *next++;
            RegSet& set = matters(reg) ? frame.kept : frame.numbers;
            set = static_cast<RegSet>(set | 1u << r);
            if (&set == &frame.kept) regs.push_back(reg);
        }
        const Bytes512 needed = read_bytes(frame.stack->init, frame.read);
        if (needed == Bytes512{}) {
            frame.stack = nullptr;
            continue;
        }
        const auto asked = [&](const Cell& c) {
            return any(needed, c.off, c.size) && matters(c.reg);
        };
        if (std::ranges::all_of(frame.stack->cells, asked)) continue;
        auto small = std::make_shared<Stack>(cell_bytes_);
        small->init = needed;
        for (const Cell& c : frame.stack->cells) {
            if (asked(c)) small->cells.insert(c);
        }
        frame.stack = std::move(small);
    }
    regs.shrink_to_fit();
    done.state.regs = std::move(regs);
}

// The current path relies on what `old` relied on: marks that as needed and read.
void Analyzer::inherit(const Checkpoint& old, bool exact) {
    const auto take = [&](const Reg& before, const Reg& now) {
        if (now.is_scalar() && before.is_scalar() && needs_.marked(before.need)) need(now);
    };
    for (std::size_t f = 0; f < now_.frames.size(); ++f) {
        const bool skipped = planted(117) && f + 1 < now_.frames.size();
        const RegSet live = skipped ? RegSet{0} : live_in(now_, f);
        const Stack* before = old.state.frames[f].stack.get();
        const Stack& stack = *now_.frames[f].stack;
        for (unsigned r = 0; r < isa::kFramePointer && !planted(114); ++r) {
            if (!(live >> r & 1)) continue;
            if (exact) {
                if (now_.reg(f, r).is_scalar()) need(now_.reg(f, r));
            } else {
                take(old.state.reg(f, r), now_.reg(f, r));
            }
        }
        if (exact) {
            for (const Cell& c : stack.cells) {
                if (c.reg.is_scalar()) need(c.reg);
            }
        } else if (before != nullptr) {
            for (const Cell& c : before->cells) {
                const Cell* same = stack.exact(c.off, c.size);
                if (same != nullptr) take(c.reg, same->reg);
            }
        }
        mark_read(static_cast<u32>(f),
                  exact ? Granules{~u64{0}, ~u64{0}} : old.state.frames[f].read);
    }
    if (exact) {
        for (const Relation& r : now_.relations.all()) needs_.mark(r.need);
    } else {
        for (const u32 n : covered_by_) needs_.mark(planted(240) ? 0 : n);
    }
}

}  // namespace ebpf::verifier
