// SPDX-License-Identifier: MIT
//
// The run-time oracle over programs that a compiler made: the loop suite and the public corpus.
// What is accepted runs on random packets and random results of helpers, and at every step every
// register and stack byte lies inside a state of that point.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "../effort.hpp"
#include "oracles/presentation.hpp"
#include "oracles/state_oracle.hpp"
#include "read_object.hpp"
#include "spec/program_types.hpp"

namespace ebpf::verifier::oracle {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> objects_below(const fs::path& folder) {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file() &&
            (entry.path().extension() == ".o" || entry.path().extension() == ".elf"))
            paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    return paths;
}

// The machine's context is XDP's.
bool machine_has(const engine::ObjectProgram& p, std::size_t max_insns) {
    return p.program && p.type == spec::ProgramType::Xdp && p.program->insns.size() <= max_insns;
}

void judge(const char* what, const fs::path& folder, TrialOptions trial, std::size_t max_insns) {
    Tally tally;
    u64 left_out = 0;
    Options options;
    options.max_steps = 200'000;
    for (const fs::path& path : objects_below(folder)) {
        const engine::Object object = read_corpus_object(path);
        for (const engine::ObjectProgram& program : object.programs) {
            if (!machine_has(program, max_insns)) {
                ++left_out;
                continue;
            }
            ir::Environment environment;
            environment.type = spec::program_info(spec::Dialect::Linux, program.type);
            trial.seed += 7;
            const Trial t = try_program(*program.program, environment, options, trial, tally);
            EXPECT_EQ(t.wrong, "") << path << " " << program.name;
        }
    }
    std::printf(
        "%s: %llu programs, %llu accepted, %llu runs, %llu steps, %llu values inside their "
        "states, %llu relations hold, %llu with too many states; %llu not for this machine\n",
        what, static_cast<unsigned long long>(tally.programs),
        static_cast<unsigned long long>(tally.accepted),
        static_cast<unsigned long long>(tally.runs), static_cast<unsigned long long>(tally.steps),
        static_cast<unsigned long long>(tally.values),
        static_cast<unsigned long long>(tally.relations),
        static_cast<unsigned long long>(tally.incomplete),
        static_cast<unsigned long long>(left_out));
    EXPECT_GT(tally.accepted * 3, tally.programs);
    EXPECT_GT(tally.values, 100'000u);
}

TEST(ObjectOracle, LoopSuite) {
    if (!fs::exists(CASEMENT_LOOP_OBJECTS)) GTEST_SKIP() << "no clang-19 compiled the loops";
    judge("loops", CASEMENT_LOOP_OBJECTS,
          {.runs = 2, .seed = 1, .max_run = 50'000, .must_end = false}, 10'000);
}

TEST(ObjectOracle, Corpus) {
    const char* shared = std::getenv("CASEMENT_SHARED");
    const fs::path corpus = fs::path(shared != nullptr ? shared : "../shared") / "corpus";
    if (!fs::exists(corpus)) GTEST_SKIP() << "no corpus at " << corpus;
    judge("corpus", corpus, {.runs = 20, .seed = 1, .max_run = 50'000}, 1500);
}

// Its packet pointer is a sum that is made again in each round, and known to be the same only until
// the analysis next keeps a state, as it may where jumps meet.
const std::string kHangsOnPresentation = "pointer_packet";

// One verdict for all presentations (oracles/transform.hpp), too.
TEST(ObjectOracle, PresentationsOfTheLoopSuite) {
    if (!fs::exists(CASEMENT_LOOP_OBJECTS)) GTEST_SKIP() << "no clang-19 compiled the loops";
    Comparison count;
    u64 differ = 0;
    // With 32-bit instructions and without; sanitized builds have the first alone.
    for (const char* variant : {"O2-v3", "O2-v1"}) {
        const fs::path folder = fs::path(CASEMENT_LOOP_OBJECTS) / variant;
        if (!fs::exists(folder)) continue;
        for (const fs::path& path : objects_below(folder)) {
            const engine::Object object = read_corpus_object(path);
            for (const engine::ObjectProgram& program : object.programs) {
                for (u64 seed = 1; program.program && seed <= tries(2); ++seed) {
                    const std::string what = compare_presentations(*program.program, seed, count);
                    if (what.empty()) continue;
                    differ += program.name != kHangsOnPresentation;
                    std::printf("%s %s %s, seed %llu: %s\n", variant, path.filename().c_str(),
                                program.name.c_str(), static_cast<unsigned long long>(seed),
                                what.c_str());
                }
            }
        }
    }
    std::printf("loops: %llu programs, %llu presentations, %llu others with two verdicts\n",
                static_cast<unsigned long long>(count.programs),
                static_cast<unsigned long long>(count.pairs),
                static_cast<unsigned long long>(differ));
    EXPECT_EQ(differ, 0u);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
