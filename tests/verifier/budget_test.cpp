// SPDX-License-Identifier: MIT
//
// Every verification ends: within the budget of its options, and soon. Over the loop suite, mutants
// of it and other presentations of it, which is where analyses explode.
// CASEMENT_PROGRAMS=N tries N mutants of each program instead of the usual number.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "../effort.hpp"
#include "oracles/generator.hpp"
#include "oracles/transform.hpp"
#include "read_object.hpp"
#include "spec/program_types.hpp"
#include "verifier/render.hpp"

namespace ebpf::verifier::oracle {
namespace {

namespace fs = std::filesystem;

constexpr u64 kMaxSteps = 400'000;
constexpr u64 kMaxMemory = u64{64} << 20;
// Of CPU time, with Linux's log. Steps of this number take up to 0.8 s, and ten times as long under
// sanitizers.
constexpr double kMaxSeconds = 25;

double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Worst {
    double seconds = 0;
    u64 programs = 0, exhausted = 0;
    std::string name;
};

void try_one(const ir::Program& program, const std::string& name, Worst& worst) {
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    Options options;
    options.max_steps = kMaxSteps;
    options.max_memory = kMaxMemory;
    const double begin = cpu_seconds();
    const Report report = analyze(program, environment, options);
    if (report.verdict != Verdict::Accept)
        (void)linux_log(program, environment, options, LogDetail::Path, report);
    const double took = cpu_seconds() - begin;
    EXPECT_LE(report.steps, kMaxSteps + 1) << name;
    EXPECT_LE(report.peak_bytes, kMaxMemory * 5 / 4) << name;
    EXPECT_LE(took, kMaxSeconds) << name << ": " << report.steps << " steps, "
                                 << verifier::name(report.verdict);
    ++worst.programs;
    worst.exhausted += report.verdict == Verdict::Exhausted;
    if (took > worst.seconds) {
        worst.seconds = took;
        worst.name = name + ", " + verifier::name(report.verdict) + " after " +
                     std::to_string(report.steps) + " steps";
    }
}

void print(const char* what, const Worst& worst) {
    std::printf("%s: %llu programs, %llu exhausted; the longest took %.3f s: %s\n", what,
                static_cast<unsigned long long>(worst.programs),
                static_cast<unsigned long long>(worst.exhausted), worst.seconds,
                worst.name.c_str());
}

TEST(Budget, LoopsAndTheirMutants) {
    if (!fs::exists(CASEMENT_LOOP_OBJECTS)) GTEST_SKIP() << "no clang-19 compiled the loops";
    Worst mutants, presentations;
    u64 seed = 1;
    for (const char* variant : {"O2-v3"}) {
        for (const auto& entry :
             fs::directory_iterator(fs::path(CASEMENT_LOOP_OBJECTS) / variant)) {
            const engine::Object object = read_object(entry.path());
            for (const engine::ObjectProgram& p : object.programs) {
                if (!p.program || p.type != spec::ProgramType::Xdp) continue;
                const std::string name = entry.path().filename().string() + " " + p.name;
                try_one(*p.program, name, mutants);
                for (u64 n = 0; n < tries(1); ++n, ++seed) {
                    const std::string which = " " + std::to_string(seed);
                    try_one(mutate(*p.program, seed), name + ", mutant" + which, mutants);
                }
                for (int c = 0; c < kChanges; ++c, ++seed) {
                    if (kSanitized && seed % 10 != 0) continue;
                    const auto change = static_cast<Change>(c);
                    if (const auto other = transform(*p.program, change, seed))
                        try_one(*other, name + ", " + oracle::name(change), presentations);
                }
            }
        }
    }
    print("mutants", mutants);
    print("presentations", presentations);
    EXPECT_GT(mutants.programs, 200u);
}

TEST(Budget, GeneratedProgramsAndTheirMutants) {
    Worst worst;
    for (u64 seed = 1; seed <= tries(40); ++seed)
        try_one(mutate(generate(seed), seed), "seed " + std::to_string(seed), worst);
    print("generated", worst);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
