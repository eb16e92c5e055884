// SPDX-License-Identifier: MIT
//
// Control flow and calls: loops, local calls with their frames, helpers.
#include "engine.hpp"

namespace ebpf::engines {
namespace {

using code::Invocation;

class Calls : public EngineTest {};

TEST_P(Calls, EntryRegisters) {
    std::byte memory[24]{};
    EXPECT_EQ(run("r0 = r1\nexit", memory), reinterpret_cast<u64>(memory));
    EXPECT_EQ(run("r0 = r2\nexit", memory), 24u);
    EXPECT_EQ(run("r0 = r1\nr0 |= r2\nexit"), 0u);
}

TEST_P(Calls, Loops) {
    EXPECT_EQ(run("r0 = 0\nr1 = 100\nagain:\nr0 += r1\nr1 -= 1\nif r1 != 0 goto again\nexit"),
              5050u);
    EXPECT_EQ(run("r0 = 1\ngoto down\nup:\nr0 <<= 1\nexit\ndown:\nr0 += 4\ngoto up"), 10u);
    EXPECT_EQ(run("r0 = 1\ngotol down\nup:\nr0 <<= 1\nexit\ndown:\nr0 += 4\ngotol up"), 10u);
}

// The 32-bit goto reaches what the 16-bit one cannot.
TEST_P(Calls, AFarGoto) {
    std::string text = "r0 = 1\ngotol far\n";
    for (int i = 0; i < 40'000; ++i) text += "r0 += 1\n";
    EXPECT_EQ(run(text + "far:\nexit"), 1u);
}

TEST_P(Calls, LocalCallPassesFiveArguments) {
    EXPECT_EQ(run("r1 = 1\nr2 = 20\nr3 = 300\nr4 = 4000\nr5 = 50000\ncall sum\nexit\n"
                  "sum:\nr0 = r1\nr0 += r2\nr0 += r3\nr0 += r4\nr0 += r5\nexit"),
              54321u);
}

TEST_P(Calls, LocalCallAsTheFirstInstruction) {
    EXPECT_EQ(run("call f\nr0 += 1\nexit\nf:\nr0 = 41\nexit"), 42u);
}

TEST_P(Calls, CalleeSavedRegistersSurvive) {
    EXPECT_EQ(run("r6 = 6\nr7 = 70\nr8 = 800\nr9 = 9000\ncall f\nr0 = r6\nr0 += r7\nr0 += r8\nr0 "
                  "+= r9\nexit\n"
                  "f:\nr6 = -1\nr7 = -1\nr8 = -1\nr9 = -1\nr0 = 0\nexit"),
              9876u);
}

TEST_P(Calls, FramePointerComesBack) {
    EXPECT_EQ(run("r6 = r10\ncall f\nr0 = 1\nif r6 == r10 goto +1\nr0 = 0\nexit\n"
                  "f:\n*(u64 *)(r10 - 8) = 1\nr0 = 0\nexit"),
              1u);
}

// Every frame has 512 bytes of its own: the callee fills all of its own and the caller's survive.
TEST_P(Calls, FramesDoNotOverlap) {
    std::string text;
    for (int i = 1; i <= 64; ++i) {
        text +=
            "*(u64 *)(r10 - " + std::to_string(8 * i) + ") = " + std::to_string(1000 + i) + "\n";
    }
    text += "call f\nr0 = 0\n";
    for (int i = 1; i <= 64; ++i) {
        text += "r1 = *(u64 *)(r10 - " + std::to_string(8 * i) +
                ")\nif r1 == " + std::to_string(1000 + i) + " goto +1\nr0 += 1\n";
    }
    text += "exit\nf:\n";
    for (int i = 1; i <= 64; ++i) text += "*(u64 *)(r10 - " + std::to_string(8 * i) + ") = -1\n";
    text += "r0 = 0\nexit\n";
    EXPECT_EQ(run(text), 0u) << "slots of the caller's frame that changed";
}

TEST_P(Calls, ACalleeCanWriteItsCallersFrame) {
    EXPECT_EQ(
        run("*(u64 *)(r10 - 16) = 1\nr1 = r10\nr1 += -16\ncall f\nr0 = *(u64 *)(r10 - 16)\nexit\n"
            "f:\n*(u64 *)(r1 + 0) = 77\nr0 = 0\nexit"),
        77u);
}

// A chain of `depth` frames, the entry's included; each adds 1 and uses its whole frame.
std::string chain(int depth) {
    std::string text;
    for (int i = 1; i < depth; ++i) {
        const std::string mark = std::to_string(100 + i);
        text += "f" + std::to_string(i) + ":\n*(u64 *)(r10 - 512) = " + mark +
                "\n*(u64 *)(r10 - 8) = " + mark + "\ncall f" + std::to_string(i + 1) +
                "\nr1 = *(u64 *)(r10 - 512)\nif r1 == " + mark +
                " goto +1\nr0 = -1000\nr1 = *(u64 *)(r10 - 8)\nif r1 == " + mark +
                " goto +1\nr0 = -1000\nr0 += 1\nexit\n";
    }
    return text + "f" + std::to_string(depth) + ":\nr0 = 1\nexit\n";
}

TEST_P(Calls, EightFrames) {
    EXPECT_EQ(run(chain(8)), 8u);
}

TEST_P(Calls, NineFramesAreTooMany) {
    if (!GetParam()->limits_call_depth()) GTEST_SKIP() << "runs verified programs only";
    EXPECT_FALSE(GetParam()->run(assemble(chain(9)), {}));
    EXPECT_FALSE(GetParam()->run(assemble("call -1\nexit"), {})) << "unbounded recursion";
}

TEST_P(Calls, BoundedRecursion) {
    const u64 r0 =
        run("r1 = 7\ncall f\nexit\n"
            "f:\nr0 = 0\nif r1 == 0 goto out\nr6 = r1\nr1 -= 1\nif r1 == 0 goto base\ncall f\n"
            "base:\nr0 += r6\nout:\nexit");
    if (unsupported()) return;
    EXPECT_EQ(r0, 28u);
}

u64 digits(u64 a, u64 b, u64 c, u64 d, u64 e, Invocation*) {
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e;
}
u64 has_invocation(u64, u64, u64, u64, u64, Invocation* invocation) {
    return invocation != nullptr;
}

TEST_P(Calls, HelpersGetFiveArguments) {
    EXPECT_EQ(run("r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall 7\nexit", {}, {{7, digits}}),
              54321u);
}

TEST_P(Calls, HelpersGetTheInvocation) {
    EXPECT_EQ(run("call 1\nexit", {}, {{1, has_invocation}}), 1u);
    EXPECT_EQ(run("call f\nexit\nf:\ncall 1\nexit", {}, {{1, has_invocation}}), 1u);
}

TEST_P(Calls, RegistersSurviveHelpers) {
    EXPECT_EQ(run("r6 = 6\nr7 = 70\nr8 = 800\nr9 = 9000\n*(u64 *)(r10 - 8) = 10000\nr1 = 0\nr2 = "
                  "0\nr3 = 0\n"
                  "r4 = 0\nr5 = 0\ncall 7\nr0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nr1 = *(u64 "
                  "*)(r10 - 8)\n"
                  "r0 += r1\nexit",
                  {}, {{7, digits}}),
              19876u);
}

TEST_P(Calls, HelpersFromSubprogramsAndLoops) {
    EXPECT_EQ(
        run("r6 = 0\nr7 = 0\nagain:\nr1 = r7\ncall f\nr6 += r0\nr7 += 1\nif r7 < 10 goto again\n"
            "r0 = r6\nexit\nf:\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall 7\nexit",
            {}, {{7, digits}}),
        45u);
}

TEST_P(Calls, AnUnknownHelperIsAnError) {
    EXPECT_FALSE(GetParam()->run(assemble("call 9\nexit"), {}, {{7, digits}}));
}

TEST_P(Calls, ByRegister) {
    const Helpers helpers{{3, digits}, {200, has_invocation}};
    const u64 r0 =
        run("r6 = 3\nr1 = 1\nr2 = 1\nr3 = 1\nr4 = 1\nr5 = 1\ncallx r6\nexit", {}, helpers);
    if (unsupported()) return;
    EXPECT_EQ(r0, 11111u);
    EXPECT_EQ(run("r2 = 200\ncallx r2\nexit", {}, helpers), 1u);
    for (const char* text : {"r2 = 4\ncallx r2\nexit", "r2 = -1\ncallx r2\nexit"}) {
        EXPECT_FALSE(GetParam()->run(assemble(text), {}, helpers)) << text;
    }
}

TEST_P(Calls, WhatNoEngineRuns) {
    for (const char* text :
         {"call kfunc 1\nexit", "r0 = *(u8 *)skb[0]\nexit", "ld_pseudo r1, 1, 5\nr0 = 0\nexit",
          "ld_pseudo r1, 3, 5\nr0 = 0\nexit"}) {
        const Result<u64> r0 = GetParam()->run(assemble(text), {});
        ASSERT_FALSE(r0) << text;
        EXPECT_NE(r0.error().what, nullptr);
    }
}

TEST_P(Calls, MalformedPrograms) {
    for (const char* text :
         {"r0 = 0", "goto +1\nexit", "goto -3\nexit", "if r1 == 0 goto +5\nexit",
          "r0 = 0\nif r1 == 0 goto -9\nexit", "goto +1\nr0 = 5 ll\nexit", "call +7\nexit", ""}) {
        EXPECT_FALSE(GetParam()->run(assemble(text), {})) << text;
    }
}

INSTANTIATE_TEST_SUITE_P(Engine, Calls, testing::ValuesIn(all_engines()), engine_name);

}  // namespace
}  // namespace ebpf::engines
