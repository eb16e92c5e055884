// SPDX-License-Identifier: MIT
//
// The run-time oracle: while a program runs, what its registers and stack hold lies inside an
// abstract state that the analysis saw at that instruction, and what the facts say is true. A
// scalar whose range no proof relied on, a dead register, and stack that nobody reads count for
// nothing, since states that differ only there cover each other (cover.cpp).
#pragma once

#include <string>
#include <vector>

#include "oracles/machine.hpp"
#include "verifier/analyzer.hpp"

namespace ebpf::verifier::oracle {

struct Tally {
    u64 programs = 0, accepted = 0, runs = 0, steps = 0, values = 0, relations = 0, incomplete = 0;
};

struct Trial {
    Report report;
    std::string wrong;  // what an accepted program did, or where it left every abstract state
};

struct TrialOptions {
    u32 runs = 6;
    u64 seed = 1;
    u64 max_run = 4'000'000;        // steps of a run after which it counts as endless
    std::size_t max_seen = 60'000;  // states; with more, only the run itself is judged
    bool states = true;             // judge states and facts, not the run alone
    bool must_end = true;           // a run that reaches max_run is an error
};

// Analyses `program` and, when it is accepted, runs it.
Trial try_program(const ir::Program& program, const ir::Environment& environment,
                  const Options& options, const TrialOptions& trial, Tally& tally);

}  // namespace ebpf::verifier::oracle
