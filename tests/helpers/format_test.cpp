// SPDX-License-Identifier: MIT
// Formats of bpf_snprintf: what is written, how long it would have been, and what is refused.
#include "comparison.hpp"

namespace ebpf::runtime::test {
namespace {

using isa::Width;
using spec::Helper;

constexpr u32 kOut = 0, kValues = 1024, kText = 2048;  // in the memory

// Texts that values point to, in the memory behind kText.
constexpr std::string_view kTexts("hello\0\xc0\xa8\x00\x01\0\0\0\0\0\0\0\0\0\0\0\x0f", 22);
constexpr u64 kHello = u64{1} << 63, kAddress = kHello + 6;  // stand for the addresses of these

struct Case {
    const char* format;
    std::vector<u64> values;
    const char* text;  // null: refused
    u32 room = 64;
};

// bpf_snprintf(memory + kOut, room, constants, memory + kValues, size); result 0.
std::vector<Insn> formatting(const Case& c) {
    std::vector<Insn> p;
    u32 at = kValues;
    for (const u64 value : c.values) {
        if ((value & kHello) != 0 && value < kHello + kTexts.size()) {
            p.push_back(map_value(1, kMemory, kText + static_cast<u32>(value - kHello)));
        } else {
            p.push_back(constant(1, value));
        }
        p.push_back(map_value(2, kMemory, at));
        p.push_back(store(Width::W64, 2, 0, 1));
        at += 8;
    }
    p.push_back(map_value(1, kMemory, kOut));
    p.push_back(mov(2, static_cast<i32>(c.room)));
    p.push_back(map_value(3, kConstants, 0));
    p.push_back(map_value(4, kMemory, kValues));
    p.push_back(mov(5, static_cast<i32>(8 * c.values.size())));
    p.push_back(call(Helper::snprintf));
    keep_result(p, 0);
    // The values' addresses are nobody's business afterwards.
    for (u32 i = 0; i < c.values.size(); ++i) {
        p.push_back(map_value(1, kMemory, kValues + 8 * i));
        p.push_back(store_imm(Width::W64, 1, 0, 0));
    }
    finish(p);
    return p;
}

class Formats : public Comparison {
  protected:
    void expect(const Case& c) {
        SCOPED_TRACE(c.format);
        Contents memory = contents("");
        std::memset(memory.data(), 'x', 64);
        std::memcpy(memory.data() + kText, kTexts.data(), kTexts.size());
        const Contents constants = contents(c.format);
        const std::vector<Insn> program = formatting(c);
        if (c.text != nullptr) {
            const Contents left = compare(program, memory, constants);
            EXPECT_EQ(result(left, 0), static_cast<i64>(std::strlen(c.text)) + 1);
            if (c.room > std::strlen(c.text)) {
                EXPECT_STREQ(reinterpret_cast<const char*>(left.data()), c.text);
            }
            return;
        }
        // The kernel refuses such a program when it is loaded.
        const Contents left = run_here(program, memory, constants);
        EXPECT_LT(result(left, 0), 0);
        EXPECT_EQ(left[0], std::byte{'x'}) << "something was written";
        if (has_kernel()) {
            EXPECT_FALSE(run_in_kernel(program, memory, constants));
        }
    }
};

constexpr u64 minus(i64 value) {
    return static_cast<u64>(-value);
}

TEST_F(Formats, Numbers) {
    const Case cases[] = {
        {"plain", {}, "plain"},
        {"%%", {}, "%"},
        {"%d %i", {minus(7), 8}, "-7 8"},
        {"%u", {minus(1)}, "4294967295"},
        {"%lu %llu", {minus(1), 5}, "18446744073709551615 5"},
        {"%ld", {u64{1} << 63 | 4096}, "-9223372036854771712"},
        {"%d", {0x1'0000'0001}, "1"},
        {"%x %X %lx", {0xabcdef, 0xabcdef, 0xffffffff0}, "abcdef ABCDEF ffffffff0"},
        {"[%5d|%-5d|%05d|%+d|% d]", {42, 42, 42, 42, 42}, "[   42|42   |00042|+42| 42]"},
        {"[%+5d|%-+5d|%0+5d|%+u|% x]", {42, 42, minus(42), 42, 42}, "[  +42|+42  |-0042|42|2a]"},
        {"[%08lx|%-8lx|%-08lx|%1x]",
         {0xbeef, 0xbeef, 0xbeef, 0xbeef},
         "[0000beef|beef    |beef    |beef]"},
        {"[%c|%3c|%-3c|%03c]", {'a', 'b', 'c', 'd'}, "[a|  b|c  |  d]"},
        {"%d%d%d%d%d%d%d%d%d%d%d%d", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, "123456789101112"},
        {"%d %d", {1, 2, 3}, "1 2"},
        {"tab\tand\nline", {}, "tab\tand\nline"},
        {"f\xc3\xbcnf: %d\xc3\xbc", {5}, "f\xc3\xbcnf: 5\xc3\xbc"},
    };
    for (const Case& c : cases) expect(c);
}

TEST_F(Formats, TextsAndAddresses) {
    const Case cases[] = {
        {"[%s]", {kHello}, "[hello]"},
        {"[%8s|%-8s|%3s|%08s]",
         {kHello, kHello, kHello, kHello},
         "[   hello|hello   |hello|   hello]"},
        {"[%pks|%pks]", {kHello, kHello + 1}, "[hello|ello]"},
        {"%pI4 %pi4", {kAddress, kAddress}, "192.168.0.1 192.168.000.001"},
        {"%pI6", {kAddress}, "c0a8:0001:0000:0000:0000:0000:0000:000f"},
        {"%pi6", {kAddress}, "c0a8000100000000000000000000000f"},
        {"%s|", {8}, "|"},
        {"%pks|", {16}, "|"},
        {"%pI4", {8}, "0.0.0.0"},
        {"%px", {0xabc}, "0000000000000abc"},
        {"%20px|%-20px|", {0xabc, 0xabc}, "                 abc|abc                 |"},
        {"%-px|", {0xabc}, "abc             |"},
        {"%p", {0}, "0000000000000000"},
        {"%p %d", {0, 7}, "0000000000000000 7"},
        {"%pxyz %d", {0xa, 7}, "000000000000000a 7"},
        {"%pS", {0x123}, "0x123"},
        {"%ps", {0x123}, "0x123"},
        {"%8pS|%-8ps|%8pB", {0x1, 0x2, 0x3}, "     0x1|0x2     |0x3"},
        {"%s, %s.", {kHello, kHello}, "hello, hello."},
    };
    for (const Case& c : cases) expect(c);
}

TEST_F(Formats, WhatDoesNotFitIsCounted) {
    for (const u32 room : {1u, 2u, 5u, 6u, 7u, 30u}) {
        expect({"%d-%s", {12345, kHello}, "12345-hello", room});
        expect({"%20d", {5}, "                   5", room});
    }
}

TEST_F(Formats, Refused) {
    const Case cases[] = {
        {"%", {1}, nullptr},
        {"%y", {1}, nullptr},
        {"%d", {}, nullptr},
        {"%hd", {1}, nullptr},
        {"%lc", {1}, nullptr},
        {"%llld", {1}, nullptr},
        {"%ls", {1}, nullptr},
        {"%#x", {1}, nullptr},
        {"%.3d", {1}, nullptr},
        {"%*d", {1}, nullptr},
        {"%f", {1}, nullptr},
        {"%n", {1}, nullptr},
        {"%5", {1}, nullptr},
        {"%sx", {1}, nullptr},
        {"%pI5", {1}, nullptr},
        {"%pM", {1}, nullptr},
        {"%pksx", {1}, nullptr},
        {"\x01", {}, nullptr},
        {"%5%", {1}, nullptr},
        {"%l", {1}, nullptr},
        {"%d%d", {1}, nullptr},
        {"%o", {1}, nullptr},
        {"%pa", {1}, nullptr},
        {"\x7f", {}, nullptr},
        {"%s\xc3\xbc", {kHello}, nullptr},
    };
    for (const Case& c : cases) expect(c);
}

TEST_F(Formats, AddressesAreNotGivenAway) {
    for (const char* format : {"%p", "%pK"}) {
        const Contents memory = contents("");
        const auto text = [&](u64 value) {
            const Contents left =
                run_here(formatting({format, {value}, nullptr}), memory, contents(format));
            return std::string(reinterpret_cast<const char*>(left.data()));
        };
        const std::string one = text(0x7fff12345678), other = text(0x7fff12345680);
        EXPECT_EQ(one.size(), 16u);
        EXPECT_EQ(one.substr(0, 8), "00000000");
        EXPECT_EQ(one.find("12345678"), std::string::npos);
        EXPECT_NE(one, other);
        EXPECT_EQ(text(minus(2)), "fffffffffffffffe") << "an error number";
    }
}

// All texts together have 512 bytes.
TEST_F(Formats, ManyLongTexts) {
    Contents memory = contents("");
    std::memset(memory.data() + kText, 'y', 700);
    const Contents constants = contents("%s%s");
    const std::vector<Insn> program = formatting({"%s%s", {kHello, kHello}, nullptr});
    const Contents left = compare(program, memory, constants);
    EXPECT_EQ(result(left, 0), -28);
}

}  // namespace
}  // namespace ebpf::runtime::test
