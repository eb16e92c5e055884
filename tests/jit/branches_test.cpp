// SPDX-License-Identifier: MIT
// Jumps that the code generators straighten (Lowering::branch_at): what is left of them, where that
// is not done, and that every condition decides as before. Loops, and where they lie.
#include <gtest/gtest.h>

#include "isa/semantics.hpp"
#include "support.hpp"

namespace ebpf::jit::test {
namespace {

constexpr Cond kConditions[] = {Cond::Eq,  Cond::Ne,  Cond::Gt,  Cond::Ge,  Cond::Lt, Cond::Le,
                                Cond::SGt, Cond::SGe, Cond::SLt, Cond::SLe, Cond::Set};

// if r0 cond r1 goto over; goto far; over: r2 = 1; far:
Insns around(Cond cond, Width w) {
    return {jump(cond, w, 0, 1, 1), ja(1), mov_imm(2, 1)};
}

// How many of the jumps `mnemonic` the code has.
int count(const std::string& mnemonic, const Insns& insns, const ir::Facts& facts = {}) {
    const std::string text = disassemble(compiled(link(insns), system_v(), facts));
    int found = 0;
    for (std::size_t at = 0; (at = text.find(mnemonic + " ", at)) != std::string::npos; ++at)
        ++found;
    return found;
}

TEST(Branches, EveryConditionDecidesAsBefore) {
    const u64 values[] = {0, 1, 2, ~u64{0}, u64{1} << 31, u64{1} << 32, u64{1} << 63, 0x7FFFFFFF};
    for (const Cond cond : kConditions) {
        for (const Width w : {Width::W32, Width::W64}) {
            const Insns insns = around(cond, w);
            const Placed code(compiled(link(on_registers(insns)), system_v()),
                              CallingConvention::SystemV);
            for (const u64 a : values) {
                for (const u64 b : values) {
                    Registers r{a, b};
                    code.run(r.data(), sizeof r);
                    EXPECT_EQ(r[2], isa::eval_cond(cond, w, a, b) ? 1u : 0u)
                        << static_cast<int>(cond) << " " << a << " " << b;
                }
            }
        }
    }
}

TEST(Branches, AConditionAroundAJumpIsOneJump) {
    const Insns insns = around(Cond::Lt, Width::W64) + Insns{exit()};
    EXPECT_EQ(count("jnb", insns), 1);
    EXPECT_EQ(count("jmp", insns), 0);
    EXPECT_EQ(count("jb", insns), 0);
}

TEST(Branches, AJumpThatOthersGoToStays) {
    // 0: if r1 == 0 goto 2; 1: if r0 < r1 goto 3; 2: goto 4; 3: r2 = 1; 4: exit
    const Insns insns{jump_imm(Cond::Eq, Width::W64, 1, 0, 1), jump(Cond::Lt, Width::W64, 0, 1, 1),
                      ja(1), mov_imm(2, 1), exit()};
    EXPECT_EQ(count("jb", insns), 1);
    EXPECT_EQ(count("jmp", insns), 1);
}

// Code is made for reachable instructions only, so nothing may come to one that was not.
TEST(Branches, WhatAProofRulesOutIsNotLedTo) {
    ir::Facts facts;
    facts.insns.resize(4);
    for (const u32 i : {0u, 2u, 3u}) facts.insns[i].reachable = true;
    EXPECT_EQ(count("jb", around(Cond::Lt, Width::W64) + Insns{exit()}, facts), 1);
}

TEST(Branches, ChainsAreFollowedAndCirclesEnd) {
    EXPECT_EQ(run({mov_imm(0, 7), ja(1), exit(), ja(1), exit(), ja(-4)}), 7u);
    // 1: if r0 == 7 goto exit; a circle of jumps that nobody enters
    EXPECT_EQ(run({mov_imm(0, 7), jump_imm(Cond::Eq, Width::W64, 0, 7, 2), ja(0), ja(-2), exit()}),
              7u);
}

// A short loop behind `before` instructions: where it lies, and that it still counts to ten.
TEST(Branches, AShortLoopLiesInOneLine) {
    constexpr u32 kLine = 64;
    u32 moved = 0;
    for (u32 i = 0; i < 80; ++i) {
        // The second comparison takes more bytes.
        const u32 before = i / 2, rounds = i % 2 == 0 ? 10 : 1000;
        Insns insns{mov_imm(0, 0)};
        for (u32 n = 0; n < before; ++n) insns.push_back(alu_imm(AluOp::Xor, Width::W64, 2, 3));
        const u32 head = static_cast<u32>(insns.size());
        for (u32 n = 0; n < 5; ++n) insns.push_back(alu_imm(AluOp::Xor, Width::W64, 3, 5));
        insns.push_back(alu_imm(AluOp::Add, Width::W64, 0, 1));
        insns.push_back(jump_imm(Cond::Ne, Width::W64, 0, static_cast<i32>(rounds), -7));
        insns.push_back(exit());
        EXPECT_EQ(run(insns), rounds) << before;
        const Output out = compiled(link(insns), system_v());
        const u32 first = out.insn_offset[head], last = out.insn_offset[head + 7] - 1;
        EXPECT_EQ(first / kLine, last / kLine) << before;
        moved += first % kLine == 0 ? 1 : 0;
    }
    EXPECT_GT(moved, 5u);
}

// Jumps over padding that is there in the end, or not: their displacements are right either way.
TEST(Branches, JumpsAcrossLoopsReachTheirTargets) {
    for (i16 filler = 0; filler < 80; ++filler) {
        // r0 = 0; r2 = 3; again: if r2 == 0 goto out; filler; inner: r0 += 1; if r0 & 3 goto inner;
        // r2 -= 1; goto again; out: exit
        Insns insns{mov_imm(0, 0), mov_imm(2, 3),
                    jump_imm(Cond::Eq, Width::W64, 2, 0, static_cast<i16>(filler + 4))};
        for (i16 i = 0; i < filler; ++i) insns.push_back(alu_imm(AluOp::Add, Width::W32, 3, 1));
        insns = insns + Insns{alu_imm(AluOp::Add, Width::W64, 0, 1),
                              jump_imm(Cond::Set, Width::W64, 0, 3, -2),
                              alu_imm(AluOp::Sub, Width::W64, 2, 1), ja(-5 - filler), exit()};
        EXPECT_EQ(run(insns), 12u) << filler;
    }
}

}  // namespace
}  // namespace ebpf::jit::test
