// SPDX-License-Identifier: MIT
//
// The optimising level: passes that each turn a program into an equivalent one, before code is
// generated for it as for any other. So each can be looked at and tested alone: what comes out is a
// program that the interpreter runs too.
//
// What a pass may not change: calls, and what they find in r1 to r5; loads and stores that are
// left, and their order; the order of jumps. What nobody reads may be left out, a load too.
#pragma once

#include <functional>
#include <span>

#include "jit/analysis.hpp"
#include "jit/jit.hpp"

namespace ebpf::jit {

struct Optimised {
    ir::Program program;      // without lines; slot_of names the original's slots
    ir::Facts facts;          // of `program`, where there were facts
    std::vector<u32> origin;  // per instruction: the one of the original that it comes from
    // ... and at whose place it stands: another where a call became what it calls.
    std::vector<u32> place;
    // Per subprogram: registers that instructions may name although BPF has none such (kSpare).
    std::vector<RegSet> spare;
};

struct Pass {
    const char* name;
    const char* what;
    void (*run)(Optimised& code, const Analysis& analysis, const Options& options);
};
std::span<const Pass> passes();

// A set of passes: bit n is passes()[n].
using PassSet = u32;
inline constexpr PassSet kAllPasses = ~PassSet{0};

// Which registers a target has left in each function of a program.
using Spare = std::function<std::vector<RegSet>(const ir::Program&, const Analysis&)>;

// With what the target has to spare, which may be nothing: then the result is a program as any
// other. Errors: those of analyze().
Result<Optimised> optimise(const ir::Program& program, const ir::Facts& facts, const Spare& spare,
                           const Options& options, PassSet which = kAllPasses);

// The same with what `target` has to spare, and the code of it.
Result<Optimised> optimise_for(const ir::Program& program, const ir::Facts& facts,
                               const Target& target, const Options& options,
                               PassSet which = kAllPasses);
Result<Output> compile(const Optimised& code, const Target& target, const Options& options);

// Of Output::insn_offset for `code`, what it is for the original's `count` instructions: where the
// first stands that is at the place of one or of those after it.
std::vector<u32> original_offsets(const Optimised& code, std::span<const u32> offsets, u32 count);

// Gives code.program the original's lines, for listings.
void carry_lines(Optimised& code, const ir::Program& original);

}  // namespace ebpf::jit
