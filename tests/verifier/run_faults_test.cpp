// SPDX-License-Identifier: MIT
// The run-time oracle and the generator find every fault that was planted in the states and in the
// rules (verifier/planted.hpp): the one by a state that does not contain what is there, the other
// by an accepted program that misbehaves.
#include <gtest/gtest.h>

#include <span>

#include "fixture.hpp"
#include "oracles/generator.hpp"
#include "oracles/state_oracle.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier::oracle {
namespace {

// Programs tried until the oracle finds something, or 0.
u64 tries_until_found(int fault, bool states, u64 first) {
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    Options options;
    options.max_steps = 30'000;
    Tally tally;
    for (u64 seed = first; seed < first + 600; ++seed) {
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

// A fault and where the search begins: just before the program that shows it, to be quick.
struct Fault {
    int number;
    u64 first;
};

void all_are_found(std::span<const Fault> faults, bool states) {
    std::size_t found = 0;
    for (const Fault& fault : faults) {
        const u64 tries = tries_until_found(fault.number, states, fault.first);
        EXPECT_NE(tries, 0u) << "fault " << fault.number << " was not found";
        std::printf("fault %d: found by program %d\n", fault.number, static_cast<int>(tries));
        std::fflush(stdout);
        found += tries != 0;
    }
    std::printf("found %zu of %zu planted faults\n", found, faults.size());
}

TEST(RunFaults, StateFaultsAreFound) {
    static constexpr Fault kFaults[] = {{101, 186}, {102, 32},  {103, 26},   {104, 1},  {105, 96},
                                        {106, 63},  {107, 195}, {108, 1470}, {110, 68}, {112, 475},
                                        {113, 1},   {115, 18},  {116, 3035}};
    all_are_found(kFaults, true);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
