// SPDX-License-Identifier: MIT
// Jumps that the code generators straighten (Lowering::branch_at): what is left of them, where that
// is not done, and that every condition decides as before.
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

}  // namespace
}  // namespace ebpf::jit::test
