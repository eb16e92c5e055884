// SPDX-License-Identifier: MIT
//
// What instructions compute, against values worked out by hand from RFC 9669.
#include "isa/semantics.hpp"

#include <gtest/gtest.h>

namespace ebpf::isa {
namespace {

constexpr Width k32 = Width::W32, k64 = Width::W64;
constexpr u64 kMin64 = 0x8000'0000'0000'0000;
constexpr u64 kMax64 = 0x7fff'ffff'ffff'ffff;
constexpr u64 kOnes = ~u64{0};
constexpr u64 kMin32 = 0x8000'0000;

struct AluCase {
    AluOp op;
    Width width;
    u64 dst, src, expected;
};

constexpr AluCase kAluCases[] = {
    {AluOp::Add, k64, kOnes, 1, 0},
    {AluOp::Add, k64, 0xffff'ffff, 1, 0x1'0000'0000},
    {AluOp::Add, k32, 0xffff'ffff, 1, 0},
    {AluOp::Add, k32, 0xabcd'0000'0001, 0x1234'0000'0002, 3},
    {AluOp::Sub, k64, 0, 1, kOnes},
    {AluOp::Sub, k32, 0, 1, 0xffff'ffff},
    {AluOp::Sub, k32, kMin32, 1, 0x7fff'ffff},
    {AluOp::Mul, k64, 0x1'0000'0001, 0x1'0000'0001, 0x2'0000'0001},
    {AluOp::Mul, k64, kMin64, kOnes, kMin64},
    {AluOp::Mul, k32, 0x1'0001, 0x1'0001, 0x2'0001},
    {AluOp::Mul, k32, kMin32, 0xffff'ffff, kMin32},
    // Division: by zero it gives 0, modulo gives the dividend (section 4.1).
    {AluOp::Div, k64, 100, 7, 14},
    {AluOp::Div, k64, kOnes, 2, kMax64},
    {AluOp::Div, k64, 5, 0, 0},
    {AluOp::Div, k32, 0xffff'ffff'0000'0064, 7, 14},
    {AluOp::Div, k32, 5, 0xffff'ffff'0000'0000, 0},
    {AluOp::Mod, k64, 100, 7, 2},
    {AluOp::Mod, k64, kOnes, 0, kOnes},
    {AluOp::Mod, k32, 0xffff'ffff'0000'0064, 7, 2},
    {AluOp::Mod, k32, 0xffff'ffff'0000'0064, 0, 0x64},
    // Signed division truncates; the lowest number by -1 wraps.
    {AluOp::SDiv, k64, static_cast<u64>(-13), 3, static_cast<u64>(-4)},
    {AluOp::SDiv, k64, static_cast<u64>(-13), static_cast<u64>(-3), 4},
    {AluOp::SDiv, k64, 13, static_cast<u64>(-3), static_cast<u64>(-4)},
    {AluOp::SDiv, k64, kMin64, kOnes, kMin64},
    {AluOp::SDiv, k64, kMin64, 0, 0},
    {AluOp::SDiv, k32, 0xffff'fff3, 3, 0xffff'fffc},
    {AluOp::SDiv, k32, kMin32, 0xffff'ffff, kMin32},
    {AluOp::SDiv, k32, kMin32, kOnes, kMin32},
    {AluOp::SDiv, k32, kMin32, 1, kMin32},
    {AluOp::SDiv, k32, 7, 0, 0},
    {AluOp::SMod, k64, static_cast<u64>(-13), 3, static_cast<u64>(-1)},
    {AluOp::SMod, k64, 13, static_cast<u64>(-3), 1},
    {AluOp::SMod, k64, kMin64, kOnes, 0},
    {AluOp::SMod, k64, kMin64, 0, kMin64},
    {AluOp::SMod, k32, 0xffff'fff3, 3, 0xffff'ffff},
    {AluOp::SMod, k32, kMin32, 0xffff'ffff, 0},
    {AluOp::SMod, k32, 0xabcd'8000'0000, 0, kMin32},
    {AluOp::Or, k64, 0xf0f0, 0x0f0f, 0xffff},
    {AluOp::Or, k32, 0xffff'0000'0000'00f0, 0x0f, 0xff},
    {AluOp::And, k64, kOnes, 0xff00'0000'0000'00ff, 0xff00'0000'0000'00ff},
    {AluOp::And, k32, kOnes, kOnes, 0xffff'ffff},
    {AluOp::Xor, k64, kOnes, 1, kOnes - 1},
    {AluOp::Xor, k32, kOnes, 1, 0xffff'fffe},
    // Shift counts are masked to the width.
    {AluOp::Lsh, k64, 1, 63, kMin64},
    {AluOp::Lsh, k64, 1, 64, 1},
    {AluOp::Lsh, k64, 1, kOnes, kMin64},
    {AluOp::Lsh, k32, 1, 31, kMin32},
    {AluOp::Lsh, k32, 1, 32, 1},
    {AluOp::Lsh, k32, 3, 31, kMin32},
    {AluOp::Rsh, k64, kMin64, 63, 1},
    {AluOp::Rsh, k64, kMin64, 65, kMin64 >> 1},
    {AluOp::Rsh, k32, 0xffff'ffff'8000'0000, 31, 1},
    {AluOp::Rsh, k32, kMin32, 33, 0x4000'0000},
    {AluOp::Arsh, k64, kMin64, 63, kOnes},
    {AluOp::Arsh, k64, kMin64, 64, kMin64},
    {AluOp::Arsh, k32, kMin32, 31, 0xffff'ffff},
    {AluOp::Arsh, k32, 0xffff'ffff'7fff'ffff, 4, 0x07ff'ffff},
    {AluOp::Arsh, k32, kMin32, 36, 0xf800'0000},
    {AluOp::Mov, k64, 1, kOnes, kOnes},
    {AluOp::Mov, k32, kOnes, kOnes, 0xffff'ffff},
};

TEST(Semantics, Alu) {
    for (const AluCase& c : kAluCases) {
        EXPECT_EQ(eval_alu(c.op, c.width, c.dst, c.src), c.expected)
            << "op " << static_cast<int>(c.op) << " width " << bits(c.width) << std::hex << " of "
            << c.dst << ", " << c.src;
    }
}

TEST(Semantics, Neg) {
    EXPECT_EQ(eval_neg(k64, 1), kOnes);
    EXPECT_EQ(eval_neg(k64, kMin64), kMin64);
    EXPECT_EQ(eval_neg(k32, 1), 0xffff'ffffu);
    EXPECT_EQ(eval_neg(k32, 0x1234'8000'0000), kMin32);
    EXPECT_EQ(eval_neg(k32, 0x1'0000'0000), 0u);
}

TEST(Semantics, MovSx) {
    EXPECT_EQ(eval_movsx(k64, 8, 0x1280), 0xffff'ffff'ffff'ff80);
    EXPECT_EQ(eval_movsx(k64, 8, 0xff7f), 0x7fu);
    EXPECT_EQ(eval_movsx(k64, 16, 0x8000), 0xffff'ffff'ffff'8000);
    EXPECT_EQ(eval_movsx(k64, 32, 0x1'8000'0000), 0xffff'ffff'8000'0000);
    EXPECT_EQ(eval_movsx(k32, 8, 0x80), 0xffff'ff80u);
    EXPECT_EQ(eval_movsx(k32, 16, 0xabcd'8001), 0xffff'8001u);
}

TEST(Semantics, Endian) {
    constexpr u64 kValue = 0x1122'3344'5566'7788;
    EXPECT_EQ(eval_endian(EndianOp::ToLe, Width::W16, kValue), 0x7788u);
    EXPECT_EQ(eval_endian(EndianOp::ToLe, Width::W32, kValue), 0x5566'7788u);
    EXPECT_EQ(eval_endian(EndianOp::ToLe, Width::W64, kValue), kValue);
    for (const EndianOp op : {EndianOp::ToBe, EndianOp::Swap}) {
        EXPECT_EQ(eval_endian(op, Width::W16, kValue), 0x8877u);
        EXPECT_EQ(eval_endian(op, Width::W32, kValue), 0x8877'6655u);
        EXPECT_EQ(eval_endian(op, Width::W64, kValue), 0x8877'6655'4433'2211);
    }
}

struct CondCase {
    Cond cond;
    Width width;
    u64 dst, src;
    bool expected;
};
constexpr CondCase kCondCases[] = {
    {Cond::Eq, k64, 1, 1, true},
    {Cond::Eq, k64, 0x1'0000'0001, 1, false},
    {Cond::Eq, k32, 0x1'0000'0001, 1, true},
    {Cond::Ne, k64, 0x1'0000'0001, 1, true},
    {Cond::Ne, k32, 0x1'0000'0001, 1, false},
    {Cond::Gt, k64, kOnes, 0, true},
    {Cond::Gt, k64, 5, 5, false},
    {Cond::Gt, k32, 0x1'0000'0000, 0, false},
    {Cond::Ge, k64, 5, 5, true},
    {Cond::Ge, k32, 4, 5, false},
    {Cond::Lt, k64, 0, kOnes, true},
    {Cond::Lt, k64, 5, 5, false},
    {Cond::Le, k64, 5, 5, true},
    {Cond::Le, k32, 0xffff'ffff, 0x7fff'ffff, false},
    {Cond::SGt, k64, kOnes, 0, false},
    {Cond::SGt, k64, 0, kOnes, true},
    {Cond::SGt, k32, 0x7fff'ffff, kMin32, true},
    {Cond::SGe, k64, kMin64, kMin64, true},
    {Cond::SGe, k32, kMin32, 0, false},
    {Cond::SLt, k64, kMin64, kMax64, true},
    {Cond::SLt, k64, 0xffff'ffff, 0, false},
    {Cond::SLt, k32, 0xffff'ffff, 0, true},
    {Cond::SLe, k64, kOnes, kOnes, true},
    {Cond::SLe, k32, 1, kOnes, false},
    {Cond::Set, k64, 0x1'0000'0000, 0x1'0000'0000, true},
    {Cond::Set, k32, 0x1'0000'0000, 0x1'0000'0000, false},
    {Cond::Set, k64, 0xf0, 0x0f, false},
    {Cond::Set, k64, kMin32, 0xffff'ffff'8000'0000, true},
};

TEST(Semantics, Cond) {
    for (const CondCase& c : kCondCases) {
        EXPECT_EQ(eval_cond(c.cond, c.width, c.dst, c.src), c.expected)
            << "cond " << static_cast<int>(c.cond) << " width " << bits(c.width) << std::hex
            << " of " << c.dst << ", " << c.src;
    }
}

TEST(Semantics, Atomic) {
    EXPECT_EQ(eval_atomic(AtomicOp::Add, k64, kOnes, 2, 0), 1u);
    EXPECT_EQ(eval_atomic(AtomicOp::FetchAdd, k32, 0xffff'ffff, 2, 0), 1u);
    EXPECT_EQ(eval_atomic(AtomicOp::Or, k64, 0xf0, 0x0f, 0), 0xffu);
    EXPECT_EQ(eval_atomic(AtomicOp::FetchAnd, k32, 0xffff, kOnes, 0), 0xffffu);
    EXPECT_EQ(eval_atomic(AtomicOp::Xor, k64, 0xff, 0x0f, 0), 0xf0u);
    EXPECT_EQ(eval_atomic(AtomicOp::Xchg, k32, 1, 0x1234'0000'0005, 0), 5u);
    EXPECT_EQ(eval_atomic(AtomicOp::CmpXchg, k64, 7, 9, 7), 9u);
    EXPECT_EQ(eval_atomic(AtomicOp::CmpXchg, k64, 7, 9, 0x1'0000'0007), 7u);
    EXPECT_EQ(eval_atomic(AtomicOp::CmpXchg, k32, 7, 9, 0x1'0000'0007), 9u);
}

// The verifier and the compiler fold constants with the same functions.
static_assert(eval_alu(AluOp::SDiv, k64, kMin64, kOnes) == kMin64);
static_assert(eval_alu(AluOp::Arsh, k32, kMin32, 31) == 0xffff'ffff);
static_assert(eval_cond(Cond::SLt, k32, 0xffff'ffff, 0));
static_assert(eval_endian(EndianOp::ToBe, Width::W16, 0x1234) == 0x3412);

}  // namespace
}  // namespace ebpf::isa
