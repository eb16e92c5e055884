// SPDX-License-Identifier: MIT
// The second and third oracle: generated programs and their mutants, run and watched.
// CASEMENT_PROGRAMS=N tries N programs instead of the usual number.
#include <gtest/gtest.h>

#include <cstdlib>

#include "../effort.hpp"
#include "fixture.hpp"
#include "oracles/generator.hpp"
#include "oracles/state_oracle.hpp"

namespace ebpf::verifier::oracle {
namespace {

std::string listing(const ir::Program& p) {
    std::string text;
    for (u32 i = 0; i < p.insns.size(); ++i) {
        text += std::to_string(i) + ": " + isa::text::print(p.insns[i], isa::text::Dialect::Llvm);
        if (p.target[i] != ir::kNoTarget) text += "  -> " + std::to_string(p.target[i]);
        text += "\n";
    }
    return text;
}

void print(const char* what, const Tally& t) {
    std::printf(
        "%s: %llu programs, %llu accepted, %llu runs, %llu steps, %llu values inside "
        "their states, %llu relations hold, %llu with too many states\n",
        what, static_cast<unsigned long long>(t.programs),
        static_cast<unsigned long long>(t.accepted), static_cast<unsigned long long>(t.runs),
        static_cast<unsigned long long>(t.steps), static_cast<unsigned long long>(t.values),
        static_cast<unsigned long long>(t.relations),
        static_cast<unsigned long long>(t.incomplete));
}

ir::Environment xdp() {
    ir::Environment e;
    e.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    return e;
}

Options small_budget() {
    Options options;
    options.max_steps = 60'000;
    return options;
}

TEST(RunOracle, GeneratedPrograms) {
    const ir::Environment environment = xdp();
    Tally tally;
    for (u64 seed = 1; seed <= tries(400); ++seed) {
        const ir::Program p = generate(seed);
        ASSERT_FALSE(p.insns.empty()) << seed;
        const Trial t = try_program(p, environment, small_budget(), {.seed = seed}, tally);
        ASSERT_EQ(t.wrong, "") << "seed " << seed << "\n" << listing(p);
        if (std::getenv("CASEMENT_VERBOSE") != nullptr && t.report.verdict != Verdict::Accept)
            std::printf("%llu: %s\n", static_cast<unsigned long long>(seed),
                        explain(t.report).c_str());
    }
    print("generated", tally);
    EXPECT_GT(tally.accepted * 2, tally.programs);
}

TEST(RunOracle, Mutants) {
    const ir::Environment environment = xdp();
    Tally tally;
    for (u64 seed = 1; seed <= tries(1500); ++seed) {
        const ir::Program p = mutate(generate(seed), seed * 31);
        const Trial t =
            try_program(p, environment, small_budget(), {.runs = 4, .seed = seed}, tally);
        ASSERT_EQ(t.wrong, "") << "seed " << seed << "\n" << listing(p);
    }
    print("mutants", tally);
    EXPECT_GT(tally.programs, tally.accepted);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
