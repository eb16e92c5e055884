// SPDX-License-Identifier: MIT
// The first oracle finds every fault that was planted in the number domain (verifier/planted.hpp).
#include <gtest/gtest.h>

#include <cstdio>

#include "oracles/scalar_oracle.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier::oracle {
namespace {

constexpr int kFaults = 26;  // 1 .. 26

std::string run_all() {
    Count count;
    std::string found = product_sampled(7, 3'000, count);
    if (found.empty()) found = ranges_at_8_bits(2003, count);
    if (found.empty()) found = bits_at_8_bits(100'003, count);
    if (found.empty()) found = product_at_4_bits(count);
    return found;
}

TEST(ScalarFaults, AllAreFound) {
    int found = 0;
    for (int fault = 1; fault <= kFaults; ++fault) {
        planted_fault = fault;
        const std::string what = run_all();
        planted_fault = 0;
        EXPECT_NE(what, "") << "fault " << fault << " was not found";
        found += !what.empty();
    }
    std::printf("found %d of %d planted faults\n", found, kFaults);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
