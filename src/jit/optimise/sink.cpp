// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>

#include "jit/loops.hpp"
#include "jit/optimise/edit.hpp"
#include "jit/optimise/passes.hpp"

namespace ebpf::jit::pass {

using isa::AluOp;
using isa::Form;
using isa::Insn;

namespace {

constexpr u32 kReach = 16;  // instructions before a branch that are looked at

// Arithmetic that costs less than a jump.
bool is_cheap(const Insn& insn) {
    if (!is_arithmetic(insn)) return false;
    if (insn.form != Form::AluReg && insn.form != Form::AluImm) return true;
    const AluOp op = insn.alu();
    return op != AluOp::Div && op != AluOp::SDiv && op != AluOp::Mod && op != AluOp::SMod;
}

class Sinker {
  public:
    Sinker(Optimised& code, const Analysis& analysis, const Options& options)
        : code_(code), analysis_(analysis), options_(options), edit_(code) {}

    void run() {
        for (const ir::Subprogram& s : code_.program.subprograms) {
            Loops loops(analysis_);
            for (u32 i = s.begin; i < s.end; ++i) {
                loops.enter(i);
                const bool compares = at(i).form == Form::JmpReg || at(i).form == Form::JmpImm;
                if (compares && analysis_.reachable[i]) before_branch(s.begin, i, loops);
            }
        }
        edit_.apply();
    }

  private:
    const Insn& at(u32 i) const { return code_.program.insns[i]; }

    void before_branch(u32 begin, u32 branch, const Loops& loops) {
        const u32 target = code_.program.target[branch];
        const u32 next = branch + 1;
        if (target == next) return;
        const RegSet if_taken = live_before(code_.program, analysis_, target);
        const RegSet if_not = live_before(code_.program, analysis_, next);
        const RegUse compares = registers_of(at(branch));
        RegSet read = compares.reads, written = 0;  // between the instruction and the ways out
        std::array<u32, kReach> behind, on_jump;
        u32 behind_count = 0, on_jump_count = 0;
        // The way that is not taken is a jump of its own where one follows (Lowering::branch_at).
        const bool may_go_behind = at(next).form != Form::Ja;
        const u32 first = std::max(begin, branch > kReach ? branch - kReach : 0);
        for (u32 i = branch; i-- > first;) {
            // Jumps that lead behind this instruction go past it.
            if (analysis_.is_target[i + 1] || at(i).is_jump() || !falls_through(at(i)) ||
                edit_.is_removed(i)) {
                break;
            }
            const RegUse use = registers_of(at(i));
            const RegSet dst = use.writes;
            const bool moves = is_cheap(at(i)) && (dst & (read | written)) == 0 &&
                               ((use.reads & written) == 0 || PLANTED(SinkOverWrites));
            const bool taken_needs_it = (dst & if_taken) != 0 && !PLANTED(SinkForgetsAWay);
            if (moves && !taken_needs_it && (dst & if_not) != 0 && may_go_behind) {
                behind[behind_count++] = i;
            } else if (moves && taken_needs_it && (dst & if_not) == 0 &&
                       loops.leaves_loop(target)) {
                on_jump[on_jump_count++] = i;
            }
            // One that moves is taken for one that stays: the other way does not have it.
            read |= use.reads;
            written |= use.writes;
        }
        while (behind_count > 0) edit_.move_behind(branch, behind[--behind_count]);
        while (on_jump_count > 0) edit_.move_to_target(branch, on_jump[--on_jump_count]);
    }

    Optimised& code_;
    const Analysis& analysis_;
    [[maybe_unused]] const Options& options_;
    Edit edit_;
};

}  // namespace

void sink(Optimised& code, const Analysis& analysis, const Options& options) {
    Sinker(code, analysis, options).run();
}

}  // namespace ebpf::jit::pass
