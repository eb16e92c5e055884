// SPDX-License-Identifier: MIT
// The loops around an instruction, as far as jumps back tell: an estimate of what runs often.
#pragma once

#include <vector>

#include "jit/analysis.hpp"

namespace ebpf::jit {

class Loops {
  public:
    explicit Loops(const Analysis& analysis) : analysis_(analysis) {}

    // For each instruction of a function, in order.
    void enter(u32 at) {
        while (!around_.empty() && around_.back().end < at) around_.pop_back();
        if (analysis_.loop_end[at] != 0) around_.push_back({at, analysis_.loop_end[at]});
    }
    // Whether a jump to `target` from the instruction goes out of the innermost loop.
    bool leaves_loop(u32 target) const {
        return !around_.empty() && (target < around_.back().begin || target > around_.back().end);
    }
    // How much more often than the function the instruction runs, if loops do eight rounds.
    u64 weight() const {
        constexpr std::size_t kDeepest = 6;
        return u64{1} << 3 * (around_.size() < kDeepest ? around_.size() : kDeepest);
    }

  private:
    struct Loop {
        u32 begin, end;
    };
    const Analysis& analysis_;
    std::vector<Loop> around_;
};

}  // namespace ebpf::jit
