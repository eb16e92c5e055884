// SPDX-License-Identifier: MIT
//
// Changes of a program, collected and then made at once: instructions that go, and instructions
// that come onto one way out of a branch. Everything that is about instructions (targets, facts,
// slots, subprograms, origins) goes with them.
#pragma once

#include "jit/optimise/optimise.hpp"

namespace ebpf::jit {

class Edit {
  public:
    explicit Edit(Optimised& code) : code_(code), removed_(code.program.insns.size()) {}

    // Not the last instruction of a subprogram, and no jump.
    void remove(u32 at) {
        removed_[at] = 1;
        changes_ = true;
    }
    bool is_removed(u32 at) const { return removed_[at] != 0; }
    // The instruction at `from` moves onto a way out of the conditional jump at `branch`: between
    // it and what follows, or between it and its target. Those that come to the same way keep the
    // order of the calls.
    void move_behind(u32 branch, u32 from) { move(behind_, branch, from); }
    void move_to_target(u32 branch, u32 from) { move(on_jump_, branch, from); }

    void apply();

  private:
    struct Move {
        u32 branch;
        u32 from;
    };
    void move(std::vector<Move>& moves, u32 branch, u32 from) {
        moves.push_back({branch, from});
        remove(from);
    }
    void put(u32 from);
    void put_jump(u32 from, u32 old_target);
    u32 put_moves(const std::vector<Move>& moves, u32 branch);
    void put_way(u32 branch);
    void finish();

    Optimised& code_;
    std::vector<u8> removed_;
    std::vector<Move> behind_, on_jump_;  // ascending by branch
    bool changes_ = false;

    Optimised out_;
    std::vector<u32> new_index_;  // of what was at an index, or of what is left behind it
    struct Retarget {
        u32 branch;  // old index
        u32 target;  // new index
    };
    std::vector<Retarget> retargets_;
    std::vector<u32> pending_;  // branches whose way to the target still has to be put somewhere
};

}  // namespace ebpf::jit
