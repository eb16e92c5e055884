// SPDX-License-Identifier: MIT
#include "jit/optimise/edit.hpp"

#include <algorithm>

#include "jit/optimise/passes.hpp"

namespace ebpf::jit {

using isa::Form;

// Targets are old indices until finish().
void Edit::put(u32 from) {
    const ir::Program& old = code_.program;
    out_.program.insns.push_back(old.insns[from]);
    out_.program.target.push_back(old.target[from]);
    out_.program.slot_of.push_back(old.slot_of[from]);
    out_.origin.push_back(code_.origin[from]);
    out_.place.push_back(code_.place[from]);
    if (!code_.facts.insns.empty()) out_.facts.insns.push_back(code_.facts.insns[from]);
}

void Edit::put_jump(u32 from, u32 old_target) {
    put(from);
    out_.program.insns.back() = {.form = Form::Ja};
    out_.program.target.back() = old_target;
    if (!out_.facts.insns.empty()) out_.facts.insns.back() = {.reachable = true};
}

u32 Edit::put_moves(const std::vector<Move>& moves, u32 branch) {
    const auto [first, last] = std::ranges::equal_range(moves, branch, {}, &Move::branch);
    for (auto it = first; it != last; ++it) put(it->from);
    return static_cast<u32>(last - first);
}

// What a branch's way to its target has to do, here; the branch goes here then.
void Edit::put_way(u32 branch) {
    retargets_.push_back({branch, static_cast<u32>(out_.program.insns.size())});
    put_moves(on_jump_, branch);
}

void Edit::apply() {
    if (!changes_) return;
    const ir::Program& old = code_.program;
    const u32 n = static_cast<u32>(old.insns.size());
    new_index_.resize(n);
    // A way to a target that is not come to from above goes there; any other goes to the end of the
    // subprogram and jumps back.
    std::vector<u32> way_before(n, ir::kNoTarget);
    for (const Move& m : on_jump_) {
        const u32 target = old.target[m.branch];
        const bool open = target > 0 && !pass::falls_through(old.insns[target - 1]) &&
                          way_before[target] == ir::kNoTarget;
        if (open) way_before[target] = m.branch;
        if (way_before[target] == m.branch) continue;
        if (pending_.empty() || pending_.back() != m.branch) pending_.push_back(m.branch);
    }
    out_.program.subprograms = old.subprograms;
    auto pending = pending_.begin();
    for (ir::Subprogram& s : out_.program.subprograms) {
        const u32 end = s.end;
        const u32 begin = static_cast<u32>(out_.program.insns.size());
        for (u32 i = s.begin; i < end; ++i) {
            if (way_before[i] != ir::kNoTarget) put_way(way_before[i]);
            new_index_[i] = static_cast<u32>(out_.program.insns.size());
            if (!removed_[i]) put(i);
            put_moves(behind_, i);
        }
        for (; pending != pending_.end() && *pending < end; ++pending) {
            put_way(*pending);
            put_jump(*pending, old.target[*pending]);
        }
        s.begin = begin;
        s.end = static_cast<u32>(out_.program.insns.size());
    }
    finish();
}

void Edit::finish() {
    ir::Program& p = out_.program;
    for (u32& target : p.target) {
        if (target != ir::kNoTarget) target = new_index_[target];
    }
    for (const Retarget& r : retargets_) p.target[new_index_[r.branch]] = r.target;
    p.slot_of.push_back(code_.program.slot_of.back());

    ir::Program& kept = code_.program;
    kept.insns = std::move(p.insns);
    kept.target = std::move(p.target);
    kept.slot_of = std::move(p.slot_of);
    kept.subprograms = std::move(p.subprograms);
    code_.facts.insns = std::move(out_.facts.insns);
    code_.origin = std::move(out_.origin);
    code_.place = std::move(out_.place);
}

}  // namespace ebpf::jit
