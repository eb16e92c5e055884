// SPDX-License-Identifier: MIT
// The first oracle: transfer functions against the concrete semantics (oracles/scalar_oracle.hpp).
// CASEMENT_EXHAUSTIVE=1 leaves nothing out; it takes minutes.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "oracles/scalar_oracle.hpp"

namespace ebpf::verifier::oracle {
namespace {

u32 stride(u32 usual) {
    return std::getenv("CASEMENT_EXHAUSTIVE") != nullptr ? 1 : usual;
}

void report(const char* what, const Count& count) {
    std::printf("%s: %llu results compared\n", what, static_cast<unsigned long long>(count.checks));
}

TEST(ScalarOracle, RangesAt8Bits) {
    Count count;
    EXPECT_EQ(ranges_at_8_bits(stride(241), count), "");
    report("ranges, 8 bits", count);
    EXPECT_GT(count.checks, 50'000'000u);
}

TEST(ScalarOracle, BitsAt8Bits) {
    Count count;
    EXPECT_EQ(bits_at_8_bits(stride(1009), count), "");
    report("known bits, 5 and 8 bits", count);
    EXPECT_GT(count.checks, 10'000'000u);
}

TEST(ScalarOracle, ProductAt4Bits) {
    Count count;
    EXPECT_EQ(product_at_4_bits(count), "");
    report("product, 4 bits", count);
    EXPECT_GT(count.checks, 50'000'000u);
}

TEST(ScalarOracle, ProductSampledAt32And64Bits) {
    Count count;
    EXPECT_EQ(product_sampled(1, 40'000, count), "");
    report("product, sampled", count);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
