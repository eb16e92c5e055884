// SPDX-License-Identifier: MIT
#include "isa/text/text.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "isa/codec.hpp"
#include "isa/table.hpp"

namespace ebpf::isa::text {
namespace {

constexpr Dialect kDialects[] = {Dialect::Llvm, Dialect::Conformance};

u64 pick(std::mt19937_64& random, std::initializer_list<u64> special) {
    const u64 n = random() % (special.size() + 1);
    return n < special.size() ? special.begin()[n] : random();
}

// An instance of `e` with random legal operands.
Insn random_insn(const Encoding& e, std::mt19937_64& random) {
    const auto reg = [&](Rule rule) {
        if (rule == Rule::Read) return static_cast<Reg>(random() % 11);
        return rule == Rule::Write ? static_cast<Reg>(random() % 10) : Reg{0};
    };
    Insn insn;
    insn.form = e.form;
    insn.kind = e.kind;
    insn.width = e.width;
    insn.from_bits = e.from_bits;
    insn.dst = reg(e.dst);
    insn.src = reg(e.src);
    const i16 off = static_cast<i16>(pick(random, {0, 1, 0x7fff, 0x8000, 0xffff}));
    const u64 imm = pick(random, {0, 1, 9, 0x7fff'ffff, 0x8000'0000, ~u64{0}, u64{1} << 63});
    if (e.off == Rule::Any) (e.form == Form::Ja ? insn.imm = off : insn.off = off);
    if (e.imm == Rule::Any) insn.imm = static_cast<i32>(imm);
    if (e.imm == Rule::Unsigned) {
        insn.imm = static_cast<i64>(e.high == Rule::Any ? imm : static_cast<u32>(imm));
    }
    return insn;
}

TEST(Text, WhatIsPrintedIsReadBack) {
    std::mt19937_64 random(7);
    for (const Encoding& e : kEncodings) {
        if (e.unsupported != nullptr) continue;
        for (int i = 0; i < 60; ++i) {
            const Insn insn = random_insn(e, random);
            for (const Dialect dialect : kDialects) {
                const std::string line = print(insn, dialect);
                const Result<Insn> again = parse(line, dialect);
                ASSERT_TRUE(again) << line << ": " << again.error().what;
                ASSERT_EQ(*again, insn) << line << " was read as " << print(*again, dialect);
            }
        }
    }
}

// What tests/bpftool compares with Linux's own is not repeated here: these are what the bpftool of
// the comparison does not know, or the kernel changes.
TEST(Text, LinuxsDialectIsPrinted) {
    struct Row {
        const char* llvm;
        const char* text;
    };
    const Row kRows[] = {{"r1 s/= r2", "r1 s/= r2"},
                         {"w1 s%= -3", "w1 s%= -3"},
                         {"r1 = (s16)r2", "r1 = (s16)r2"},
                         {"w1 = (s8)w2", "w1 = (s8)w2"},
                         {"r1 = *(s8 *)(r2 - 0x4)", "r1 = *(s8 *)(r2 -4)"},
                         {"r1 = bswap32 r1", "r1 = bswap32 r1"},
                         {"gotol +0x11170", "gotol pc+70000"},
                         {"may_goto -0x2", "may_goto pc-2"},
                         {"call +0x3", "call pc+3"},
                         {"call 0xc", "call 12"},
                         {"ld_pseudo r1, 0x4, -0x9", "r1 = subprog[-9]"},
                         {"ld_pseudo r1, 0x2, 0x500000007", "r1 = map[id:7][0]+5"},
                         {"ld_pseudo r1, 0x5, 0x7", "r1 = map[idx:7]"}};
    for (const Row& row : kRows) {
        const Result<Insn> insn = parse(row.llvm, Dialect::Llvm);
        ASSERT_TRUE(insn) << row.llvm;
        EXPECT_EQ(print(*insn, Dialect::Linux), row.text);
        EXPECT_FALSE(parse(row.text, Dialect::Linux)) << "is only printed";
    }
}

TEST(Text, ProgramsSurviveDisassembly) {
    std::mt19937_64 random(8);
    std::vector<std::byte> slots;
    for (const Encoding& e : kEncodings) {
        if (e.unsupported != nullptr) continue;
        Slot raw[2];
        const Insn insn = random_insn(e, random);
        ASSERT_TRUE(encode(insn, raw));
        const auto bytes =
            std::as_bytes(std::span(raw)).first(static_cast<std::size_t>(8 * insn.slots()));
        slots.insert(slots.end(), bytes.begin(), bytes.end());
    }
    for (const Dialect dialect : kDialects) {
        const auto text = disassemble(slots, dialect);
        ASSERT_TRUE(text);
        const auto again = assemble(*text, dialect);
        ASSERT_TRUE(again) << again.error().where.value;
        EXPECT_EQ(*again, slots);
    }
}

struct Reading {
    const char* text;
    const char* printed;
};

TEST(Text, LlvmSpellings) {
    constexpr Reading kReadings[] = {
        {"r1 += r2", "r1 += r2"},
        {"  r1+=r2\t", "r1 += r2"},
        {"w1 s>>= 5", "w1 s>>= 0x5"},
        {"r1 = -1", "r1 = -0x1"},
        {"r1 = 0xffffffff", "r1 = -0x1"},
        {"r1 = -r1", "r1 = -r1"},
        {"w0 = *(u8*)(r1+4)", "w0 = *(u8 *)(r1 + 0x4)"},
        {"r0 = *(u8 *)(r1 - 4)", "w0 = *(u8 *)(r1 - 0x4)"},
        {"r0 = *(u64 *)(r1)", "r0 = *(u64 *)(r1 + 0x0)"},
        {"*(u32 *)(r10 - 8) = r3", "*(u32 *)(r10 - 0x8) = w3"},
        {"if r1 s< 5 goto +3", "if r1 s< 0x5 goto +0x3"},
        {"if w1 & w2 goto -1", "if w1 & w2 goto -0x1"},
        {"goto -2", "goto -0x2"},
        {"gotol +70000", "gotol +0x11170"},
        {"call 12", "call 0xc"},
        {"call -1", "call -0x1"},
        {"call +2", "call +0x2"},
        {"r1 = 0x123456789abcdef0 ll", "r1 = 0x123456789abcdef0 ll"},
        {"r1 = 18446744073709551615 ll", "r1 = -0x1 ll"},
        {"r1 = bswap16 r1", "r1 = bswap16 r1"},
        {"lock *(u64 *)(r1 + 0) ^= r2", "lock *(u64 *)(r1 + 0x0) ^= r2"},
        {"r2 = atomic_fetch_add((u64 *)(r1 + 8), r2)",
         "r2 = atomic_fetch_add((u64 *)(r1 + 0x8), r2)"},
        {"r0 = cmpxchg_64(r1 + 8, r0, r2)", "r0 = cmpxchg_64(r1 + 0x8, r0, r2)"},
    };
    for (const Reading& r : kReadings) {
        const Result<Insn> insn = parse(r.text, Dialect::Llvm);
        ASSERT_TRUE(insn) << r.text;
        EXPECT_EQ(print(*insn, Dialect::Llvm), r.printed);
    }
}

TEST(Text, ConformanceSpellings) {
    constexpr Reading kReadings[] = {
        {"add %r1, %r2", "r1 += r2"},
        {"add32 %r1, 0x80000000", "w1 += -0x80000000"},
        {"mov %r1,-1", "r1 = -0x1"},
        {"neg32 %r3", "w3 = -w3"},
        {"movsx832 %r2, %r1", "w2 = (s8)w1"},
        {"movsx3264 %r2, %r1", "r2 = (s32)r1"},
        {"be16 %r0", "r0 = be16 r0"},
        {"swap32 %r0", "r0 = bswap32 r0"},
        {"bswap32 %r0", "r0 = bswap32 r0"},
        {"ldxdw %r0, [%r1+8]", "r0 = *(u64 *)(r1 + 0x8)"},
        {"ldxb %r0, [%r1]", "w0 = *(u8 *)(r1 + 0x0)"},
        {"ldxsw %r0, [%r1-4]", "r0 = *(s32 *)(r1 - 0x4)"},
        {"sth [%r1+2], 0x1122", "*(u16 *)(r1 + 0x2) = 0x1122"},
        {"stxw [%r10-8], %r2", "*(u32 *)(r10 - 0x8) = w2"},
        {"lddw %r1, 0x1122334455667788", "r1 = 0x1122334455667788 ll"},
        {"ja +1", "goto +0x1"},
        {"ja32 -1", "gotol -0x1"},
        {"jslt32 %r1, 5, +3", "if w1 s< 0x5 goto +0x3"},
        {"jset %r1, %r2, -1", "if r1 & r2 goto -0x1"},
        {"call 5", "call 0x5"},
        {"call helper 5", "call 0x5"},
        {"call local +2", "call +0x2"},
        {"call runtime 7", "call kfunc 0x7"},
        {"call %r2", "callx r2"},
        {"lock add [%r10-8], %r1", "lock *(u64 *)(r10 - 0x8) += r1"},
        {"lock fetch xor32 [%r10-8], %r1", "w1 = atomic_fetch_xor((u32 *)(r10 - 0x8), w1)"},
        {"lock cmpxchg32 [%r10-8], %r1", "w0 = cmpxchg32_32(r10 - 0x8, w0, w1)"},
        {"lock xchg [%r10-8], %r1", "r1 = xchg_64(r10 - 0x8, r1)"},
        {"exit", "exit"},
    };
    for (const Reading& r : kReadings) {
        const Result<Insn> insn = parse(r.text, Dialect::Conformance);
        ASSERT_TRUE(insn) << r.text;
        EXPECT_EQ(print(*insn, Dialect::Llvm), r.printed);
    }
}

TEST(Text, WhatIsNoInstruction) {
    for (const char* line : {"",
                             "r1",
                             "r1 +=",
                             "r1 += w2",
                             "w1 += r2",
                             "r11 += r2",
                             "r10 += r2",
                             "r1 = -r2",
                             "r1 += r2 r3",
                             "r1 = 0x1ffffffff",
                             "r1 = -0x80000001",
                             "r1 = 12x",
                             "r1 = 0x",
                             "r1 = *(u8 *)(r2 + 32768)",
                             "r1 = *(u8 *)(r2 + 1",
                             "r1 = *(u24 *)(r2 + 1)",
                             "if r1 == r2 goto",
                             "if r1 == r2 goto +40000",
                             "if r1 = r2 goto +1",
                             "ifr1 == r2 goto +1",
                             "goto 5",
                             "gotol +0x80000000",
                             "exit 1",
                             "exi",
                             "r1 = be24 r1",
                             "r1 = be16 r2",
                             "r01 = 5",
                             "call 0x100000000",
                             "lock *(u8 *)(r1 + 0) += r2",
                             "r1 = 0x10000000000000000 ll",
                             "r2 = atomic_fetch_add((u64 *)(r1 + 0), r3)",
                             "callx r16",
                             "w1 = 5 ll",
                             "ld_pseudo r1, 0x7, 0x0",
                             "r1 = *(s64 *)(r2 + 0)",
                             "\xff\xfe",
                             "r1 += r2\nexit"}) {
        const Result<Insn> insn = parse(line, Dialect::Llvm);
        EXPECT_FALSE(insn) << line << " was read as " << print(*insn, Dialect::Llvm);
        if (!insn) {
            EXPECT_EQ(insn.error().code, Errc::BadFormat) << line;
        }
    }
    for (const char* line :
         {"add %r1", "add64 %r1, %r2", "add %r1, %r11", "add r1, r2", "mov %r10, 1",
          "ldxb %r1, %r2", "stb [%r1+1], %r2", "be8 %r1", "lock fetch [%r1+0], %r2",
          "lock addx [%r1+0], %r2", "movsx6464 %r1, %r2", "jeq %r1, %r2, 5"}) {
        EXPECT_FALSE(parse(line, Dialect::Conformance)) << line;
    }
}

std::string listing(std::string_view text, Dialect dialect) {
    const auto slots = assemble(text, dialect);
    if (!slots) {
        return std::string(name(slots.error().code)) + " at " +
               std::to_string(slots.error().where.value);
    }
    return disassemble(*slots, Dialect::Llvm).value();
}

TEST(Assemble, Labels) {
    EXPECT_EQ(listing("# loop\n"
                      "mov %r0, 0\n"
                      "again:\n"
                      "lddw %r1, 1   # two slots\n"
                      "add %r0, %r1\n"
                      "jlt %r0, 5, again\n"
                      "jeq %r0, 7, exit\r\n"
                      "call local f\n"
                      "exit\n"
                      "f: ja32 again\n",
                      Dialect::Conformance),
              "r0 = 0x0\nr1 = 0x1 ll\nr0 += r1\nif r0 < 0x5 goto -0x4\nif r0 == 0x7 goto +0x1\n"
              "call +0x1\nexit\ngotol -0x8\n");
    EXPECT_EQ(
        listing(
            "r1 = 5 ll // comment\nif r1 == 0 goto out\nr1 += 1\nout: exit\nld_pseudo r1, 4, out",
            Dialect::Llvm),
        "r1 = 0x5 ll\nif r1 == 0x0 goto +0x1\nr1 += 0x1\nexit\nld_pseudo r1, 0x4, -0x2\n");
}

TEST(Assemble, AnExplicitExitLabelWins) {
    EXPECT_EQ(listing("jeq %r1, 0, exit\nexit\nexit:\nmov %r0, 1\nexit", Dialect::Conformance),
              "if r1 == 0x0 goto +0x1\nexit\nr0 = 0x1\nexit\n");
}

TEST(Assemble, ErrorsCarryTheLine) {
    EXPECT_EQ(listing("exit\n\nbogus 1\n", Dialect::Conformance), "BadFormat at 3");
    EXPECT_EQ(listing("exit\nja nowhere\n", Dialect::Conformance), "UnresolvedSymbol at 2");
    EXPECT_EQ(listing("a:\nexit\na:\nexit\n", Dialect::Conformance), "ObjectAlreadyExists at 3");
    EXPECT_EQ(listing(": exit", Dialect::Conformance), "BadFormat at 1");
    std::string far;
    for (int i = 0; i < 32768; ++i) far += "exit\n";
    EXPECT_EQ(listing("jeq %r1, 0, end\n" + far + "end:\nexit\n", Dialect::Conformance),
              "BadFormat at 1");
    EXPECT_NE(listing("ja32 end\n" + far + "end:\nexit\n", Dialect::Conformance).substr(0, 3),
              "Bad");
}

TEST(Disassemble, RefusesHalfAnInstruction) {
    const std::byte nine[9]{};
    EXPECT_EQ(disassemble(nine, Dialect::Llvm).error().code, Errc::Truncated);
    EXPECT_EQ(disassemble(Bytes(nine).first(8), Dialect::Llvm).error().code, Errc::BadOpcode);
}

}  // namespace
}  // namespace ebpf::isa::text
