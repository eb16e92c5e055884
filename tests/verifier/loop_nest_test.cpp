// SPDX-License-Identifier: MIT
// Which loops a program has does not hang on the order of its instructions
// (verifier/loop_nest.hpp).
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "verifier/loop_nest.hpp"

namespace ebpf::verifier {
namespace {

constexpr u32 kNone = LoopNest::kNone;

std::vector<u32> heads(const LoopNest& nest) {
    std::vector<u32> out;
    for (u32 i = 0; i < nest.head.size(); ++i) {
        if (nest.head[i]) out.push_back(i);
    }
    return out;
}

TEST(LoopNest, StraightCodeHasNone) {
    const LoopNest nest(make_program("r0 = 0\nif r1 == 0 goto out\nr0 = 1\nout:\nexit\n"));
    EXPECT_EQ(heads(nest), std::vector<u32>{});
    EXPECT_EQ(nest.outermost[2], kNone);
}

TEST(LoopNest, AJumpBackIsNoLoopByItself) {
    const LoopNest nest(make_program("goto there\nhere:\nr0 = 0\nexit\nthere:\ngoto here\n"));
    EXPECT_EQ(heads(nest), std::vector<u32>{});
}

TEST(LoopNest, OneInstructionMayBeALoop) {
    const LoopNest nest(make_program("r0 = 0\nl:\nif r1 == 0 goto l\nexit\n"));
    EXPECT_EQ(heads(nest), std::vector<u32>{1});
    EXPECT_FALSE(nest.is_inside(1, 1));
}

TEST(LoopNest, InnerLoopsAreInsideOuterOnes) {
    const LoopNest nest(
        make_program("r0 = 0\nouter:\nr1 = 0\ninner:\nr1 += 1\nif r1 < 9 goto "
                     "inner\nr0 += 1\nif r0 < 9 goto outer\nexit\n"));
    EXPECT_EQ(heads(nest), (std::vector<u32>{1, 2}));
    EXPECT_TRUE(nest.is_inside(2, 1));
    EXPECT_FALSE(nest.is_inside(1, 2));
    EXPECT_EQ(nest.outermost[3], 1u);
    EXPECT_EQ(nest.last[2], 3u);
    EXPECT_EQ(nest.last[1], 5u);
    EXPECT_EQ(nest.around[6], kNone);
}

// The inner loop comes first, and the only jumps back lead into it.
TEST(LoopNest, TheOuterLoopsHeadMayComeBehindTheInnerLoop) {
    const LoopNest nest(
        make_program("goto outer\ninner:\nr1 += 1\nif r1 < 9 goto inner\n"
                     "r0 += 1\nouter:\nr1 = 0\nif r0 < 9 goto inner\nexit\n"));
    EXPECT_EQ(heads(nest), (std::vector<u32>{1, 4}));
    EXPECT_TRUE(nest.is_inside(1, 4));
    EXPECT_FALSE(nest.is_inside(4, 1));
    EXPECT_EQ(nest.outermost[2], 4u);
    EXPECT_EQ(nest.first[4], 1u);
    EXPECT_EQ(nest.last[4], 5u);
    EXPECT_EQ(nest.last[1], 2u);
}

TEST(LoopNest, ALoopWithTwoWaysInIsFound) {
    const LoopNest nest(
        make_program("if r1 == 0 goto second\nfirst:\nr0 = 1\nsecond:\nr0 = 2\nif r2 "
                     "== 0 goto first\nexit\n"));
    EXPECT_EQ(heads(nest).size(), 1u);
}

TEST(LoopNest, FunctionsHaveTheirOwn) {
    const LoopNest nest(
        make_program("l:\ncall f\nif r0 == 0 goto l\nexit\nf:\nr1 += 1\nif r1 < 3 "
                     "goto f\nr0 = 0\nexit\n"));
    EXPECT_EQ(heads(nest), (std::vector<u32>{0, 3}));
    EXPECT_EQ(nest.outermost[3], 3u);
}

}  // namespace
}  // namespace ebpf::verifier
