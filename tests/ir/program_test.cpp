// SPDX-License-Identifier: MIT
#include "ir/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace ebpf::ir {
namespace {

using testing::ElementsAre;

// Slots written as RFC 9669's fields: opcode, dst, src, off, imm.
struct S {
    u8 opcode;
    u8 dst = 0;
    u8 src = 0;
    i16 off = 0;
    i32 imm = 0;
};
constexpr S kExit{0x95};

std::vector<std::byte> code(std::initializer_list<S> slots) {
    std::vector<std::byte> out;
    for (const S& s : slots) {
        const isa::Slot raw{s.opcode, static_cast<u8>(s.src << 4 | s.dst), s.off, s.imm};
        const auto* p = reinterpret_cast<const std::byte*>(&raw);
        out.insert(out.end(), p, p + sizeof raw);
    }
    return out;
}

S mov(u8 dst, i32 imm) {
    return {0xb7, dst, 0, 0, imm};
}
S jeq(u8 dst, i32 imm, i16 off) {
    return {0x15, dst, 0, off, imm};
}
S ja(i16 off) {
    return {0x05, 0, 0, off, 0};
}
S call_local(i32 imm) {
    return {0x85, 0, 1, 0, imm};
}
S lddw(u8 dst, u8 src, i32 imm) {
    return {0x18, dst, src, 0, imm};
}
constexpr S kLddwEnd{0};

TEST(Program, TargetsCountInstructionsNotSlots) {
    const auto program =
        decode_program(code({jeq(1, 0, 3), lddw(0, 0, 7), kLddwEnd, kExit, mov(0, 1), kExit}));
    ASSERT_TRUE(program);
    EXPECT_EQ(program->insns.size(), 5u);
    EXPECT_THAT(program->slot_of, ElementsAre(0, 1, 3, 4, 5, 6));
    EXPECT_THAT(program->target, ElementsAre(3, kNoTarget, kNoTarget, kNoTarget, kNoTarget));
    ASSERT_EQ(program->subprograms.size(), 1u);
    EXPECT_EQ(program->subprograms[0].end, 5u);
}

TEST(Program, FindsSubprogramsOfCallsAndCallbacks) {
    // 0 call 5; 1-2 lddw r2 = &func at 6; 3 mov; 4 exit | 5 exit | 6 exit
    const auto program = decode_program(
        code({call_local(4), lddw(2, 4, 4), kLddwEnd, mov(0, 0), kExit, kExit, mov(0, 2), kExit}));
    ASSERT_TRUE(program);
    ASSERT_EQ(program->subprograms.size(), 3u);
    EXPECT_EQ(program->subprograms[1].begin, 4u);
    EXPECT_EQ(program->subprograms[2].begin, 5u);
    EXPECT_EQ(program->subprograms[2].end, 7u);
    EXPECT_THAT(program->target,
                ElementsAre(4, 5, kNoTarget, kNoTarget, kNoTarget, kNoTarget, kNoTarget));
    EXPECT_EQ(program->subprogram_at(0), 0u);
    EXPECT_EQ(program->subprogram_at(3), 0u);
    EXPECT_EQ(program->subprogram_at(4), 1u);
    EXPECT_EQ(program->subprogram_at(6), 2u);
}

struct BadCase {
    const char* name;
    std::vector<std::byte> bytes;
    Errc code;
    u64 slot;
};

class BadCode : public testing::TestWithParam<BadCase> {};

TEST_P(BadCode, IsRefusedWithItsPlace) {
    const auto program = decode_program(GetParam().bytes);
    ASSERT_FALSE(program);
    EXPECT_EQ(name(program.error().code), name(GetParam().code));
    EXPECT_EQ(program.error().where.value, GetParam().slot);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadCode,
    testing::Values(
        BadCase{"empty", {}, Errc::BadFormat, 0},
        BadCase{"odd_size", std::vector<std::byte>(12), Errc::Truncated, 1},
        BadCase{"past_end", code({ja(1), kExit}), Errc::BadJumpTarget, 0},
        BadCase{"before_start", code({mov(0, 0), ja(-3)}), Errc::BadJumpTarget, 1},
        BadCase{"into_lddw", code({jeq(1, 0, 1), lddw(0, 0, 1), kLddwEnd, kExit}),
                Errc::BadJumpTarget, 0},
        BadCase{"falls_off", code({kExit, mov(0, 0)}), Errc::BadFormat, 1},
        BadCase{"ends_in_branch", code({mov(0, 0), jeq(0, 0, -2)}), Errc::BadFormat, 1},
        BadCase{"half_lddw", code({kExit, lddw(0, 0, 1)}), Errc::Truncated, 1},
        BadCase{"call_outside", code({call_local(7), kExit}), Errc::BadJumpTarget, 0},
        BadCase{"across_border", code({call_local(1), kExit, ja(-2)}), Errc::BadJumpTarget, 2},
        BadCase{"falls_into_next", code({call_local(1), mov(0, 0), mov(0, 0), kExit}),
                Errc::BadFormat, 1},
        BadCase{"unknown_opcode", code({mov(0, 0), {0xff}, kExit}), Errc::BadOpcode, 1}),
    [](const auto& tested) { return tested.param.name; });

TEST(Program, EncodingGivesTheBytesBack) {
    const auto bytes = code({jeq(1, 0, 2), lddw(2, 4, 5), kLddwEnd, call_local(3), ja(0), mov(0, 1),
                             kExit, mov(0, 2), kExit});
    const auto program = decode_program(bytes);
    ASSERT_TRUE(program);
    const auto back = encode_program(*program);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, bytes);
}

TEST(Program, ACallbackMayStandBeforeItsUse) {
    const auto bytes = code({ja(1), kExit, mov(0, 0), lddw(2, 4, -3), kLddwEnd, kExit});
    const auto program = decode_program(bytes);
    ASSERT_FALSE(program);  // slot 1 is in the entry's own range, which the jump then leaves
    const auto own = code({call_local(1), kExit, lddw(2, 4, -1), kLddwEnd, kExit});
    const auto itself = decode_program(own);
    ASSERT_TRUE(itself);
    EXPECT_EQ(itself->target[2], 2u);
    EXPECT_EQ(encode_program(*itself).value(), own);
}

TEST(Program, EncodingWritesMovedTargets) {
    auto program = decode_program(code({ja(1), mov(0, 1), mov(0, 0), kExit}));
    ASSERT_TRUE(program);
    program->target[0] = 3;
    const auto back = encode_program(*program);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, code({ja(2), mov(0, 1), mov(0, 0), kExit}));
}

TEST(Program, LinesCoverUntilTheNextButNotAcrossFunctions) {
    auto program =
        decode_program(code({mov(0, 0), call_local(2), mov(0, 0), kExit, mov(0, 3), kExit}));
    ASSERT_TRUE(program);
    program->lines = {{1, 0, 10, 2, "a"}, {3, 0, 12, 2, "b"}};
    EXPECT_EQ(program->line_at(0), nullptr);
    EXPECT_EQ(program->line_at(2)->line, 10u);
    EXPECT_EQ(program->line_at(3)->line, 12u);
    EXPECT_EQ(program->line_at(4), nullptr);
}

TEST(Program, RandomBytesNeverCrashAndRoundTripWhenLegal) {
    std::mt19937 random(1);
    constexpr u8 kOpcodes[] = {0xb7, 0x15, 0x05, 0x85, 0x18, 0x95, 0x06, 0xbf, 0x61, 0x63, 0xdb};
    int legal = 0;
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::byte> bytes;
        const int n = 1 + static_cast<int>(random() % 6);
        for (int i = 0; i < n; ++i) {
            const auto one =
                code({S{kOpcodes[random() % std::size(kOpcodes)], static_cast<u8>(random() % 3),
                        static_cast<u8>(random() % 3), static_cast<i16>(random() % 5 - 2),
                        static_cast<i32>(random() % 5) - 2}});
            bytes.insert(bytes.end(), one.begin(), one.end());
        }
        if (random() % 2 != 0) {
            const auto end = code({kExit});
            bytes.insert(bytes.end(), end.begin(), end.end());
        }
        const auto program = decode_program(bytes);
        if (!program) continue;
        ++legal;
        const auto back = encode_program(*program);
        ASSERT_TRUE(back);
        EXPECT_EQ(*back, bytes);
    }
    EXPECT_GT(legal, 100);
}

}  // namespace
}  // namespace ebpf::ir
