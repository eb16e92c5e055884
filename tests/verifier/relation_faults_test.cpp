// SPDX-License-Identifier: MIT
// The oracle of relations finds every fault that was planted in them (verifier/planted.hpp).
#include <gtest/gtest.h>

#include <cstdio>

#include "oracles/relation_oracle.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier::oracle {
namespace {

constexpr int kFirst = 41, kLast = 49;

std::string run_all() {
    Count count;
    std::string found = numbers_as_expressions(count);
    if (found.empty()) found = claims_of_numbers(count);
    if (found.empty()) found = random_relations(1, 2'000, count);
    if (found.empty()) found = pairs_of_relations(17, count);
    return found;
}

TEST(RelationFaults, AllAreFound) {
    EXPECT_EQ(run_all(), "");
    int found = 0;
    for (int fault = kFirst; fault <= kLast; ++fault) {
        planted_fault = fault;
        const std::string what = run_all();
        planted_fault = 0;
        EXPECT_NE(what, "") << "fault " << fault << " was not found";
        std::printf("fault %d: %s\n", fault, what.empty() ? "NOT FOUND" : what.c_str());
        found += !what.empty();
    }
    std::printf("found %d of %d planted faults in relations\n", found, kLast - kFirst + 1);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
