// SPDX-License-Identifier: MIT
// The run-time oracle finds every fault that was planted in the states and in the rules
// (verifier/planted.hpp): by a state that does not contain what is there, or by an accepted program
// that misbehaves. The shapes (oracles/shapes.hpp) are tried first, then generated programs and
// their mutants. `./dev faults` prints the whole table.
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "oracles/generator.hpp"
#include "oracles/shapes.hpp"
#include "oracles/state_oracle.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier::oracle {
namespace {

constexpr int kStates = 33;  // 100 .. 132
constexpr int kRules = 51;   // 200 .. 250
constexpr u64 kFillings = 80;
constexpr u64 kGenerated = 60;

struct Search {
    int fault;
    ir::Environment environment;
    Options options;
    Tally tally;
    u64 tried = 0;

    explicit Search(int number) : fault(number) {
        environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
        options.max_steps = 30'000;
    }

    std::string wrong(const ir::Program& p, u64 seed) {
        ++tried;
        planted_fault = fault;
        const Trial t =
            try_program(p, environment, options,
                        {.runs = 8, .seed = seed, .max_run = 20'000, .max_seen = 20'000}, tally);
        planted_fault = 0;
        return t.wrong;
    }

    // What found it, "" when nothing did.
    std::string by_shape() {
        for (u64 seed = 1; seed <= kFillings; ++seed) {
            for (std::size_t s = 0; s < shape_count(); ++s) {
                if (const std::string what = wrong(shape(s, seed), seed); !what.empty())
                    return std::string(shape_name(s)) + ": " + what;
            }
        }
        return "";
    }
    std::string by_generator() {
        for (u64 seed = 1; seed <= kGenerated; ++seed) {
            ir::Program p = generate(seed);
            if (seed % 4 != 0) p = mutate(p, seed);
            if (const std::string what = wrong(p, seed); !what.empty()) return "generated: " + what;
        }
        return "";
    }
};

void all_are_found(const char* kind, int first, int count) {
    int found = 0;
    for (int fault = first; fault < first + count; ++fault) {
        Search search(fault);
        std::string what = search.by_shape();
        if (what.empty()) what = search.by_generator();
        EXPECT_NE(what, "") << kind << ": fault " << fault << " was not found";
        std::printf("%s fault %d: program %llu, %s\n", kind, fault,
                    static_cast<unsigned long long>(search.tried),
                    what.empty() ? "NOT FOUND" : what.c_str());
        std::fflush(stdout);
        found += !what.empty();
    }
    std::printf("found %d of %d planted faults in %s\n", found, count, kind);
}

TEST(RunFaults, StateFaultsAreFound) {
    all_are_found("states", 100, kStates);
}
TEST(RunFaults, RuleFaultsAreFound) {
    all_are_found("rules", 200, kRules);
}

// The same programs without a fault: nothing is wrong, and both verdicts occur.
TEST(RunFaults, NothingIsFoundWithoutAFault) {
    Search search(0);
    for (u64 seed = 1; seed <= 40; ++seed) {
        for (std::size_t s = 0; s < shape_count(); ++s) {
            ASSERT_EQ(search.wrong(shape(s, seed), seed), "") << shape_name(s) << "\n"
                                                              << shape_text(s, seed);
        }
    }
    std::printf("shapes: %llu programs, %llu accepted\n",
                static_cast<unsigned long long>(search.tally.programs),
                static_cast<unsigned long long>(search.tally.accepted));
    EXPECT_GT(search.tally.accepted, search.tally.programs / 5);
    EXPECT_LT(search.tally.accepted, search.tally.programs * 4 / 5);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
