// SPDX-License-Identifier: MIT
#include "verifier/loop_nest.hpp"

#include <algorithm>
#include <numeric>

namespace ebpf::verifier {

namespace {

constexpr u32 kNone = LoopNest::kNone;

// Calls `f` for every instruction that may follow.
template <typename F>
void for_each_next(const ir::Program& program, u32 at, F f) {
    const isa::Insn& insn = program.insns[at];
    const bool ends = insn.form == isa::Form::Ja || insn.form == isa::Form::Exit;
    if (!ends && at + 1 < program.insns.size()) f(at + 1);
    if (insn.is_jump() && program.target[at] < program.insns.size()) f(program.target[at]);
}

// Without one there are no loops.
bool has_jump_back(const ir::Program& program) {
    for (u32 i = 0; i < program.insns.size(); ++i) {
        if (program.insns[i].is_jump() && program.target[i] <= i) return true;
    }
    return false;
}

// What leads to each instruction.
struct Predecessors {
    std::vector<u32> first, all;

    explicit Predecessors(const ir::Program& program) : first(program.insns.size() + 1, 0) {
        const u32 n = static_cast<u32>(program.insns.size());
        for (u32 i = 0; i < n; ++i) for_each_next(program, i, [&](u32 next) { ++first[next + 1]; });
        std::partial_sum(first.begin(), first.end(), first.begin());
        all.resize(first[n]);
        std::vector<u32> at(first.begin(), first.end() - 1);
        for (u32 i = 0; i < n; ++i)
            for_each_next(program, i, [&](u32 next) { all[at[next]++] = i; });
    }
    std::span<const u32> of(u32 insn) const {
        return std::span(all).subspan(first[insn], first[insn + 1] - first[insn]);
    }
};

// The order in which a walk in depth comes to the instructions.
struct Walk {
    std::vector<u32> order, number, last_below;

    explicit Walk(const ir::Program& program)
        : number(program.insns.size(), kNone), last_below(program.insns.size(), 0) {
        for (const ir::Subprogram& s : program.subprograms) {
            if (s.begin < number.size() && number[s.begin] == kNone) from(program, s.begin);
        }
    }
    bool reached(u32 insn) const { return number[insn] != kNone; }
    bool is_below(u32 insn, u32 top) const {
        return number[top] <= number[insn] && number[insn] <= last_below[top];
    }

  private:
    struct Entry {
        u32 insn;
        bool seen = false;
    };
    void from(const ir::Program& program, u32 root) {
        std::vector<Entry> stack{{root}};
        while (!stack.empty()) {
            Entry& entry = stack.back();
            const u32 at = entry.insn;
            if (entry.seen) {
                if (last_below[at] == 0) last_below[at] = static_cast<u32>(order.size() - 1);
                stack.pop_back();
                continue;
            }
            entry.seen = true;
            if (reached(at)) {  // by another way meanwhile
                stack.pop_back();
                continue;
            }
            number[at] = static_cast<u32>(order.size());
            order.push_back(at);
            for_each_next(program, at, [&](u32 next) {
                if (!reached(next)) stack.push_back({next});
            });
        }
    }
};

}  // namespace

LoopNest::LoopNest(const ir::Program& program)
    : head(program.insns.size(), false),
      around(program.insns.size(), kNone),
      outermost(program.insns.size(), kNone),
      first(program.insns.size()) {
    std::iota(first.begin(), first.end(), 0);
    last = first;
    if (!has_jump_back(program)) return;
    const Predecessors before(program);
    const Walk walk(program);
    // Loops that were found stand for their instructions in those around them.
    std::vector<u32> part_of = first, taken(program.insns.size(), kNone), body;
    const auto found = [&](u32 insn) {
        while (part_of[insn] != insn) insn = part_of[insn] = part_of[part_of[insn]];
        return insn;
    };
    // Inner loops before those around them.
    for (auto at = walk.order.rbegin(); at != walk.order.rend(); ++at) {
        const u32 top = *at;
        body.clear();
        const auto take = [&](u32 insn) {
            if (!walk.reached(insn)) return;
            const u32 loop = found(insn);
            if (loop == top || taken[loop] == top || !walk.is_below(loop, top)) return;
            taken[loop] = top;
            body.push_back(loop);
        };
        for (const u32 from : before.of(top)) {
            if (!walk.reached(from) || !walk.is_below(from, top)) continue;
            head[top] = true;
            take(from);
        }
        for (std::size_t i = 0; i < body.size(); ++i)
            std::ranges::for_each(before.of(body[i]), take);
        for (const u32 part : body) {
            around[part] = part_of[part] = top;
            first[top] = std::min(first[top], first[part]);
            last[top] = std::max(last[top], last[part]);
        }
    }
    for (const u32 insn : walk.order) {
        const bool inside = around[insn] != kNone;
        outermost[insn] = inside ? outermost[around[insn]] : head[insn] ? insn : kNone;
    }
}

}  // namespace ebpf::verifier
