// SPDX-License-Identifier: MIT
//
// The work does not grow faster than programs do: abstract steps and bytes of states over the
// families of bench/verifier, which a machine's mood does not change. Time is bench_verifier's.
#include <gtest/gtest.h>

#include "bench/verifier/generators.hpp"
#include "spec/program_types.hpp"
#include "verifier/render.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::verifier {
namespace {

constexpr u32 kSmall = 500, kLarge = 4000;
constexpr double kMaxGrowth = 1.2;  // per instruction; per program where the size is a bound
constexpr u64 kMaxBytesPerInsn = 5 << 10;

struct Work {
    Report report;
    u64 insns = 0;
};

Work work_of(const std::string& text) {
    const auto program = bench::assemble(text);
    if (!program) {
        ADD_FAILURE() << "no program:\n" << text.substr(0, 2000);
        return {};
    }
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    return {analyze(*program, environment, {}), program->insns.size()};
}

class Growth : public testing::TestWithParam<bench::Family> {};

TEST_P(Growth, WorkGrowsWithTheProgram) {
    const bench::Family& family = GetParam();
    const Work small = work_of(family.text(kSmall)), large = work_of(family.text(kLarge));
    ASSERT_EQ(small.report.verdict, Verdict::Accept);
    ASSERT_EQ(large.report.verdict, Verdict::Accept);
    const double scale = family.size_is_bound
                             ? 1
                             : static_cast<double>(large.insns) / static_cast<double>(small.insns);
    const auto grows = [&](u64 from, u64 to) {
        return static_cast<double>(to) / (static_cast<double>(from) * scale);
    };
    EXPECT_LE(grows(small.report.steps, large.report.steps), kMaxGrowth);
    if (family.size_is_bound) {
        EXPECT_LE(grows(small.report.peak_bytes, large.report.peak_bytes), kMaxGrowth);
    } else {
        EXPECT_LE(large.report.peak_bytes, kMaxBytesPerInsn * large.insns);
    }
}

INSTANTIATE_TEST_SUITE_P(Families, Growth, testing::ValuesIn(bench::families()),
                         [](const auto& row) {
                             std::string name = row.param.name;
                             std::erase(name, '-');
                             return name;
                         });

// PREVAIL 0.2.6 takes 95 s for it.
TEST(Growth, CountdownTakesFewSteps) {
    const Work countdown = work_of(bench::countdown_text());
    EXPECT_EQ(countdown.report.verdict, Verdict::Accept);
    EXPECT_LE(countdown.report.steps, 500u);
}

}  // namespace
}  // namespace ebpf::verifier
