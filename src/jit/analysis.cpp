// SPDX-License-Identifier: MIT
#include "jit/analysis.hpp"

#include <algorithm>

namespace ebpf::jit {

using isa::Form;
using isa::Insn;

namespace {

class Analyzer {
  public:
    Analyzer(const ir::Program& program, const ir::Facts& facts, u32 registers)
        : p_(program), facts_(facts), registers_(registers) {}

    Result<Analysis> run() {
        TRY(check_shape());
        TRY(scan());
        order_functions();
        find_indexed_calls();
        find_live_registers();
        return std::move(a_);
    }

  private:
    Status check_shape() const;
    Status scan();
    Status scan_insn(u32 index, u32 function);
    Status frame_of(u32 function);
    void order_functions();
    void find_indexed_calls();
    void find_live_registers();
    bool live_round();

    u32 function_starting_at(u32 insn) const;

    const ir::Program& p_;
    const ir::Facts& facts_;
    const u32 registers_;
    // Whether the verifier counted the frames of every path.
    const bool bounded_ =
        facts_.max_call_depth >= 1 && facts_.max_call_depth <= u32{isa::kMaxCallDepth};
    Analysis a_;
};

Status Analyzer::check_shape() const {
    const std::size_t n = p_.insns.size();
    if (n == 0 || p_.target.size() != n || p_.slot_of.size() != n + 1 || p_.subprograms.empty()) {
        return fail(Errc::BadFormat, {}, "decoded program");
    }
    if (!facts_.insns.empty() && facts_.insns.size() != n) {
        return fail(Errc::InvalidArgument, {}, "facts are of another program", facts_.insns.size());
    }
    if (!facts_.stack_used.empty() && facts_.stack_used.size() != p_.subprograms.size()) {
        return fail(Errc::InvalidArgument, {}, "facts are of another program",
                    facts_.stack_used.size());
    }
    u32 end = 0;
    for (const ir::Subprogram& s : p_.subprograms) {
        if (s.begin != end || s.end <= s.begin || s.end > n) {
            return fail(Errc::BadFormat, at_insn(s.begin), "subprogram");
        }
        end = s.end;
        const Form last = p_.insns[end - 1].form;
        if (last != Form::Exit && last != Form::Ja) {
            return fail(Errc::BadFormat, at_insn(p_.slot_of[end - 1]), "end of subprogram");
        }
    }
    if (end != n) return fail(Errc::BadFormat, at_insn(end), "subprogram");
    return {};
}

// Subprograms lie one after the other (check_shape). kNoTarget when none starts there.
u32 Analyzer::function_starting_at(u32 insn) const {
    const auto& all = p_.subprograms;
    const auto it = std::ranges::lower_bound(all, insn, {}, &ir::Subprogram::begin);
    if (it == all.end() || it->begin != insn) return ir::kNoTarget;
    return static_cast<u32>(it - all.begin());
}

Status Analyzer::scan() {
    const std::size_t n = p_.insns.size();
    a_.is_target.resize(n);
    a_.loop_end.resize(n);
    a_.round_end.resize(n);
    a_.reachable.assign(n, 1);
    for (std::size_t i = 0; i < facts_.insns.size(); ++i)
        a_.reachable[i] = facts_.insns[i].reachable;
    a_.functions.resize(p_.subprograms.size());
    for (u32 f = 0; f < p_.subprograms.size(); ++f) {
        const ir::Subprogram& s = p_.subprograms[f];
        for (u32 i = s.begin; i < s.end; ++i) {
            if (a_.reachable[i]) TRY(scan_insn(i, f));
        }
        TRY(frame_of(f));
        a_.written |= a_.functions[f].written;
    }
    return {};
}

Status Analyzer::scan_insn(u32 index, u32 function) {
    const Insn& insn = p_.insns[index];
    Function& f = a_.functions[function];
    if (insn.dst >= registers_ || insn.src >= registers_) {
        return fail(Errc::BadRegister, at_insn(p_.slot_of[index]));
    }
    const RegUse use = registers_of(insn);
    if (use.writes & reg_set(isa::kFramePointer)) {
        return fail(Errc::BadRegister, at_insn(p_.slot_of[index]), "r10 is read-only");
    }
    const bool call = insn.form == Form::Call || insn.form == Form::CallReg;
    f.written |= call ? reg_set(0) : use.writes;
    f.calls |= call;
    f.uses_frame |= ((use.reads & reg_set(isa::kFramePointer)) != 0);

    const u32 target = p_.target[index];
    const bool local_call = insn.form == Form::Call && insn.call() == isa::CallKind::Local;
    const bool callback = insn.form == Form::Wide && insn.wide() == isa::WideKind::Function;
    if (insn.is_jump()) {
        const ir::Subprogram& s = p_.subprograms[function];
        if (target < s.begin || target >= s.end) {
            return fail(Errc::BadJumpTarget, at_insn(p_.slot_of[index]));
        }
        a_.is_target[target] = 1;
        if (target <= index) {
            a_.loop_end[target] = index;
            if (a_.round_end[target] == 0) a_.round_end[target] = index;
        }
    } else if (local_call || callback) {
        const u32 callee = function_starting_at(target);
        if (callee == ir::kNoTarget) return fail(Errc::BadJumpTarget, at_insn(p_.slot_of[index]));
        f.callees.push_back(callee);
        a_.entry_is_called |= callee == 0;
        if (callback) {
            a_.functions[callee].is_callback = true;
            a_.written |= kCallArgs;
        }
    }
    a_.may_goto |= insn.form == Form::MayGoto;
    a_.calls_helpers |= insn.form == Form::CallReg || (insn.form == Form::Call && !local_call);
    return {};
}

// Only a proof says that less than a whole frame is enough.
Status Analyzer::frame_of(u32 function) {
    Function& f = a_.functions[function];
    if (!f.uses_frame) return {};
    const u32 used = facts_.stack_used.empty() ? isa::kStackSize : facts_.stack_used[function];
    if (used > isa::kStackSize) {
        return fail(Errc::TooLarge, at_insn(p_.slot_of[p_.subprograms[function].begin]),
                    "stack frame", used);
    }
    f.frame_bytes = (used + 15) & ~15u;
    return {};
}

// Depth-first, with a stack of our own: call chains may be as long as the program.
void Analyzer::order_functions() {
    enum : u8 { kNew, kOpen, kDone };
    struct Visit {
        u32 function;
        u32 next_callee;
    };
    std::vector<u8> state(a_.functions.size(), kNew);
    std::vector<u32> depth(a_.functions.size(), 1);
    std::vector<Visit> visits;
    for (u32 root = 0; root < a_.functions.size(); ++root) {
        if (state[root] != kNew) continue;
        state[root] = kOpen;
        visits.push_back({root, 0});
        while (!visits.empty()) {
            Visit& v = visits.back();
            const Function& f = a_.functions[v.function];
            if (v.next_callee < f.callees.size()) {
                const u32 callee = f.callees[v.next_callee++];
                if (state[callee] == kOpen) {
                    a_.recursive = true;
                    a_.count_frames |= !bounded_;
                }
                if (state[callee] == kNew) {
                    state[callee] = kOpen;
                    visits.push_back({callee, 0});
                }
                continue;
            }
            for (const u32 callee : f.callees) {
                depth[v.function] = std::max(depth[v.function], depth[callee] + 1);
            }
            a_.count_frames |= !bounded_ && depth[v.function] > isa::kMaxCallDepth;
            state[v.function] = kDone;
            a_.callees_first.push_back(v.function);
            visits.pop_back();
        }
    }
}

void Analyzer::find_indexed_calls() {
    for (u32 i = 0; i < p_.insns.size() && !a_.indexed_calls; ++i) {
        a_.indexed_calls =
            a_.reachable[i] && p_.insns[i].form == Form::CallReg && !called_constant(p_, a_, i);
    }
}

// One pass backwards. True if something changed that an earlier jump backwards wants to know.
bool Analyzer::live_round() {
    bool changed = false;
    RegSet live = 0;  // before the instruction after this one
    for (u32 i = static_cast<u32>(p_.insns.size()); i-- > 0;) {
        const Insn& insn = p_.insns[i];
        const bool falls_through = insn.form != Form::Exit && insn.form != Form::Ja;
        RegSet after = falls_through ? live : RegSet{0};
        if (insn.is_jump() && a_.reachable[i]) {
            const u32 target = p_.target[i];
            const RegUse use = registers_of(p_.insns[target]);
            after |= static_cast<RegSet>((a_.live_after[target] & ~use.writes) | use.reads);
        }
        changed |= after != a_.live_after[i];
        a_.live_after[i] = after;
        const RegUse use = registers_of(insn);
        live = static_cast<RegSet>((after & ~use.writes) | use.reads);
    }
    return changed;
}

// The least fixpoint from below; deeply nested loops that do not reach it in a few rounds are taken
// to need everything everywhere, which is right and only costs speed.
void Analyzer::find_live_registers() {
    constexpr int kRounds = 12;
    a_.live_after.assign(p_.insns.size(), 0);
    for (int round = 0; round < kRounds; ++round) {
        if (!live_round()) return;
    }
    a_.live_after.assign(p_.insns.size(), static_cast<RegSet>(~RegSet{0}));
}

}  // namespace

std::optional<u64> called_constant(const ir::Program& program, const Analysis& analysis, u32 at) {
    constexpr u32 kReach = 64;  // instructions; keeps the whole linear
    const isa::Reg reg = program.insns[at].dst;
    for (u32 i = at; i > 0 && at - i < kReach && !analysis.is_target[i]; --i) {
        const Insn& before = program.insns[i - 1];
        if (before.form == Form::Exit || before.form == Form::Ja) return {};
        if ((registers_of(before).writes & reg_set(reg)) == 0) continue;
        const bool constant = (before.form == Form::AluImm && before.alu() == isa::AluOp::Mov) ||
                              (before.form == Form::Wide && before.wide() == isa::WideKind::Imm64);
        if (!constant) return {};
        return before.is64() || before.form == Form::Wide ? static_cast<u64>(before.imm)
                                                          : static_cast<u32>(before.imm);
    }
    return {};
}

Result<Analysis> analyze(const ir::Program& program, const ir::Facts& facts, u32 registers) {
    return Analyzer(program, facts, registers).run();
}

}  // namespace ebpf::jit
