// SPDX-License-Identifier: MIT
// The fourth oracle: one verdict for all presentations of a program (oracles/transform.hpp).
// CASEMENT_PROGRAMS=N tries N generated programs and N mutants.
#include <cstdlib>

#include "../effort.hpp"
#include "oracles/generator.hpp"
#include "oracles/presentation.hpp"
#include "oracles/shapes.hpp"

namespace ebpf::verifier::oracle {
namespace {

void print(const char* what, const Comparison& c) {
    std::printf("%s: %llu programs, %llu presentations\n", what,
                static_cast<unsigned long long>(c.programs),
                static_cast<unsigned long long>(c.pairs));
}

TEST(Presentation, Shapes) {
    Comparison count;
    for (u64 seed = 1; seed <= 20; ++seed) {
        for (std::size_t s = 0; s < shape_count(); ++s) {
            ASSERT_EQ(compare_presentations(shape(s, seed), seed, count), "")
                << shape_name(s) << "\n"
                << shape_text(s, seed);
        }
    }
    print("shapes", count);
    for (int c = 0; c < kChanges; ++c)
        EXPECT_GT(count.of_change[static_cast<std::size_t>(c)], 20u)
            << name(static_cast<Change>(c));
}

TEST(Presentation, GeneratedProgramsAndMutants) {
    Comparison count;
    for (u64 seed = 1; seed <= tries(150); ++seed) {
        const ir::Program p = generate(seed);
        ASSERT_EQ(compare_presentations(p, seed, count), "") << "seed " << seed;
        ASSERT_EQ(compare_presentations(mutate(p, seed * 31), seed, count), "")
            << "mutant, seed " << seed;
    }
    print("generated and mutants", count);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
