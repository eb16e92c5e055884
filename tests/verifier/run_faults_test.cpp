// SPDX-License-Identifier: MIT
// The run-time oracle and the generator find every fault that was planted in the states and in the
// rules (verifier/planted.hpp): the one by a state that does not contain what is there, the other
// by an accepted program that misbehaves.
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "oracles/generator.hpp"
#include "oracles/state_oracle.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier::oracle {
namespace {

// Programs tried until the oracle finds something, or 0.
u64 tries_until_found(int fault, bool states) {
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    Options options;
    options.max_steps = 30'000;
    Tally tally;
    for (u64 seed = 1; seed <= 12'000; ++seed) {
        ir::Program p = generate(seed);
        if (seed % 4 != 0) p = mutate(p, seed);
        planted_fault = fault;
        const Trial t = try_program(
            p, environment, options,
            {.runs = 3, .seed = seed, .max_run = 200'000, .max_seen = 20'000, .states = states},
            tally);
        planted_fault = 0;
        if (!t.wrong.empty()) return seed;
    }
    return 0;
}

void all_are_found(int first, int last, bool states) {
    int found = 0;
    for (int fault = first; fault <= last; ++fault) {
        const u64 tries = tries_until_found(fault, states);
        EXPECT_NE(tries, 0u) << "fault " << fault << " was not found";
        std::printf("fault %d: found by program %d\n", fault, static_cast<int>(tries));
        std::fflush(stdout);
        found += tries != 0;
    }
    std::printf("found %d of %d planted faults\n", found, last - first + 1);
}

TEST(RunFaults, StateFaultsAreFound) {
    all_are_found(100, 124, true);
}

TEST(RunFaults, RuleFaultsAreFound) {
    all_are_found(200, 221, false);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
