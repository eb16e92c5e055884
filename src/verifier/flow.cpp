// SPDX-License-Identifier: MIT
#include "verifier/flow.hpp"

#include <algorithm>

namespace ebpf::verifier {

using isa::Form;
using isa::Insn;

namespace {

bool is_local_call(const Insn& insn) {
    return insn.form == Form::Call && insn.call() == isa::CallKind::Local;
}

// Backward from every instruction to those that lead to it; each is looked at again only when what
// follows it has grown, so the work is linear in the size of the program.
void compute_live(const ir::Program& program, std::vector<RegSet>& live) {
    const u32 n = static_cast<u32>(program.insns.size());
    live.assign(n, 0);
    // Who depends on an instruction's set: the one before it, and jumps and calls to it.
    std::vector<u32> first(n + 1, 0), dependents;
    for (u32 i = 0; i < n; ++i) {
        if (program.insns[i].is_jump() || is_local_call(program.insns[i]))
            ++first[program.target[i] + 1];
    }
    for (u32 i = 0; i < n; ++i) first[i + 1] += first[i];
    dependents.resize(first[n]);
    std::vector<u32> at(first.begin(), first.end() - 1);
    for (u32 i = 0; i < n; ++i) {
        if (program.insns[i].is_jump() || is_local_call(program.insns[i]))
            dependents[at[program.target[i]]++] = i;
    }
    std::vector<u32> work(n);
    std::vector<bool> queued(n, true);
    for (u32 i = 0; i < n; ++i) work[i] = i;  // taken from the end: backwards at first
    while (!work.empty()) {
        const u32 i = work.back();
        work.pop_back();
        queued[i] = false;
        const Insn& insn = program.insns[i];
        isa::RegUse e = isa::registers_of(insn);
        RegSet out = 0;
        if (insn.form == Form::Ja) {
            out = live[program.target[i]];
        } else if (insn.form != Form::Exit) {
            out = i + 1 < n ? live[i + 1] : RegSet{0};
            if (insn.is_conditional()) out |= live[program.target[i]];
        }
        if (is_local_call(insn)) e.reads &= live[program.target[i]];
        const RegSet in = static_cast<RegSet>((out & ~e.writes) | e.reads);
        if (in == live[i]) continue;
        live[i] = in;
        const auto queue = [&](u32 d) {
            if (!queued[d]) work.push_back(d);
            queued[d] = true;
        };
        if (i > 0) queue(i - 1);
        for (u32 d = first[i]; d < first[i + 1]; ++d) queue(dependents[d]);
    }
}

}  // namespace

Flow::Flow(const ir::Program& program) : loops(program) {
    const u32 n = static_cast<u32>(program.insns.size());
    std::vector<u8> ways(n + 1, 0);
    const auto add_way = [&](u32 to) { ways[to] = static_cast<u8>(std::min(2, ways[to] + 1)); };
    for (u32 i = 0; i < n; ++i) {
        const Insn& insn = program.insns[i];
        if (insn.is_jump()) add_way(program.target[i]);
        if (insn.form != Form::Ja && insn.form != Form::Exit) add_way(i + 1);
    }
    join.assign(n, false);
    for (u32 i = 0; i < n; ++i) join[i] = ways[i] >= 2;
    compute_live(program, live);
    place.assign(n, kNone);
    const auto add_place = [&](u32 at) {
        if (place[at] == kNone) place[at] = places++;
    };
    for (u32 i = 0; i < n; ++i) {
        if (join[i] || loops.head[i]) add_place(i);
    }
    for (const ir::Subprogram& s : program.subprograms) {
        if (s.begin < n) add_place(s.begin);
    }
}

}  // namespace ebpf::verifier
