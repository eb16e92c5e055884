// SPDX-License-Identifier: MIT
// Relations of numbers against the concrete semantics: nothing that they prove is wrong.
#include <gtest/gtest.h>

#include <cstdio>

#include "oracles/relation_oracle.hpp"

namespace ebpf::verifier::oracle {
namespace {

void print(const char* what, const Count& count) {
    std::printf("%s: %llu checks\n", what, static_cast<unsigned long long>(count.checks));
}

TEST(RelationOracle, PairsOfRelations) {
    Count count;
    EXPECT_EQ(pairs_of_relations(1, count), "");
    print("every pair of relations", count);
    EXPECT_GT(count.checks, 1'000'000u);
}

TEST(RelationOracle, RandomRelations) {
    Count count;
    EXPECT_EQ(random_relations(1, 20'000, count), "");
    print("random relations", count);
    EXPECT_GT(count.checks, 1'000'000u);
}

TEST(RelationOracle, NumbersWrapNowhere) {
    Count count;
    EXPECT_EQ(numbers_as_expressions(count), "");
    EXPECT_EQ(claims_of_numbers(count), "");
    print("numbers in registers", count);
    EXPECT_GT(count.checks, 1'000'000u);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
