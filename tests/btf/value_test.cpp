// SPDX-License-Identifier: MIT
#include "btf/value.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "btf/types.hpp"
#include "builder.hpp"

namespace ebpf::btf {
namespace {

using testing::ElementsAre;
using Part = ValuePart::Kind;

// What the walk tells, a word or two for each part.
std::vector<std::string> told(const Builder& builder, u32 type, const std::vector<u8>& value,
                              Status* status = nullptr) {
    std::vector<std::string> parts;
    const auto types = Types::parse(builder.bytes());
    if (!types) return {"types: " + std::to_string(static_cast<int>(types.error().code))};
    const auto visit = [&](const ValuePart& part) {
        if (parts.size() > 100) return;
        const std::string name = part.name.empty() ? "" : std::string(part.name) + "=";
        const std::string low = std::to_string(part.low);
        const std::string words[] = {
            "{",
            "[",
            "}",
            std::to_string(static_cast<i64>(part.low)),
            "u" + low,
            "bits" + std::to_string(part.high) + ":" + low,
            part.low ? "true" : "false",
            "char" + low,
            "'" + std::string(part.text) + "'",
            std::string(part.text),
            "*" + low,
            std::to_string(part.real),
            "?",
        };
        parts.push_back(name + words[static_cast<int>(part.kind)]);
    };
    const Status walked =
        walk_value((*types)->view(), type, std::as_bytes(std::span(value)), visit);
    if (status) *status = walked;
    if (!walked && !status) parts.push_back("failed");
    return parts;
}

std::vector<u8> bytes_of(u64 number, u32 size) {
    std::vector<u8> bytes(size);
    for (u32 i = 0; i < size && i < 8; ++i) bytes[i] = static_cast<u8>(number >> i * 8);
    return bytes;
}

TEST(Value, NumbersOfEachKind) {
    Builder b;
    const u32 i32_type = b.integer("int", 4, true), u16_type = b.integer("short", 2, false);
    const u32 flag = b.add("bool", Kind::Int, 0, 1, {4u << 24 | 8});
    const u32 letter = b.add("letter", Kind::Int, 0, 1, {2u << 24 | 8});
    const u32 wide = b.integer("wide", 16, true);
    const u32 odd = b.add("odd", Kind::Int, 0, 4, {3u << 16 | 5});  // bits 3 to 7
    const u32 real = b.add("float", Kind::Float, 0, 4), twice = b.add("double", Kind::Float, 0, 8);
    const u32 pointer = b.add("", Kind::Ptr, 0, 0);
    const u32 name = b.string("MINUS"), other = b.string("FIVE");
    const u32 signed_enum = b.add("e", Kind::Enum, 2, 4, {name, 0xffff'ffff, other, 5}, true);
    const u32 large_enum = b.add("l", Kind::Enum64, 1, 8, {other, 5, 1});
    EXPECT_THAT(told(b, i32_type, {0xfe, 0xff, 0xff, 0xff}), ElementsAre("-2"));
    EXPECT_THAT(told(b, u16_type, {0xfe, 0xff}), ElementsAre("u65534"));
    EXPECT_THAT(told(b, flag, {2}), ElementsAre("true"));
    EXPECT_THAT(told(b, letter, {200}), ElementsAre("char200"));
    EXPECT_THAT(told(b, wide, {1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}),
                ElementsAre("bits2:1"));
    EXPECT_THAT(told(b, odd, {0xaf, 0xff, 0, 0}), ElementsAre("bits0:21"));
    EXPECT_THAT(told(b, real, bytes_of(0x3fc0'0000, 4)), ElementsAre("1.500000"));
    EXPECT_THAT(told(b, twice, bytes_of(0x3ff8'0000'0000'0000, 8)), ElementsAre("1.500000"));
    EXPECT_THAT(told(b, pointer, bytes_of(77, 8)), ElementsAre("*77"));
    EXPECT_THAT(told(b, signed_enum, {0xff, 0xff, 0xff, 0xff}), ElementsAre("MINUS"));
    EXPECT_THAT(told(b, signed_enum, {6, 0, 0, 0}), ElementsAre("6"));
    EXPECT_THAT(told(b, large_enum, bytes_of(0x1'0000'0005, 8)), ElementsAre("FIVE"));
    EXPECT_THAT(told(b, large_enum, bytes_of(5, 8)), ElementsAre("5"));
}

TEST(Value, StructuresArraysAndSections) {
    Builder b;
    const u32 number = b.integer("int", 4, true), letter = b.integer("char", 1, true);
    const u32 fixed = b.add("", Kind::Const, 0, letter);
    const u32 text = b.add("", Kind::Array, 0, 0, {fixed, number, 4});
    const u32 other = b.add("own", Kind::Typedef, 0, letter);
    const u32 bytes = b.add("", Kind::Array, 0, 0, {other, number, 2});
    const u32 x = b.string("x"), y = b.string("y");
    const u32 inner = b.add("", Kind::Struct, 1, 4, {x, number, 0});
    const u32 bits =
        b.add("bits", Kind::Struct, 2, 4, {x, number, 5u << 24, y, number, 27u << 24 | 5}, true);
    const u32 whole = b.add("s", Kind::Struct, 3, 10, {y, text, 0, 0, inner, 32, x, bytes, 64});
    const u32 variable = b.add("v", Kind::Var, 0, inner, {1});
    const u32 section = b.add(".data", Kind::Datasec, 1, 8, {variable, 4, 4});
    EXPECT_THAT(told(b, whole, {'a', 'b', 0, 9, 1, 0, 0, 0, 7, 8}),
                ElementsAre("{", "y='ab'", "{", "x=1", "}", "x=[", "7", "8", "}", "}"));
    // No text: a character that is not printable, or no NUL.
    EXPECT_THAT(told(b, text, {'a', 9, 0, 0}), ElementsAre("[", "97", "9", "0", "0", "}"));
    EXPECT_THAT(told(b, text, {'a', 'b', 'c', 'd'}),
                ElementsAre("[", "97", "98", "99", "100", "}"));
    EXPECT_THAT(told(b, bits, {0xff, 0, 0, 0x80}),
                ElementsAre("{", "x=bits0:31", "y=bits0:67108871", "}"));
    EXPECT_THAT(told(b, section, {0, 0, 0, 0, 3, 0, 0, 0}),
                ElementsAre("{", ".data=[", "{", "v={", "x=3", "}", "}", "}", "}"));
}

// What hostile types could ask for.
TEST(Value, IsBounded) {
    Status status;
    {  // 2^32 elements of no size
        Builder b;
        const u32 nothing = b.add("nothing", Kind::Struct, 0, 0);
        const u32 index = b.integer("int", 4, true);
        const u32 many = b.add("", Kind::Array, 0, 0, {nothing, index, 0xffff'ffff});
        (void)told(b, many, {}, &status);
        EXPECT_EQ(status.error(), Errc::TooLarge);
    }
    {  // a structure in itself
        Builder b;
        b.add("s", Kind::Struct, 1, 4, {b.string("s"), 1, 0});
        (void)told(b, 1, {0, 0, 0, 0}, &status);
        EXPECT_EQ(status.error(), Errc::TooLarge);
    }
    {  // a value that is shorter than its type
        Builder b;
        const u32 number = b.integer("int", 4, true);
        (void)told(b, number, {0, 0, 0}, &status);
        EXPECT_EQ(status.error(), Errc::Truncated);
    }
    {  // a large array of a large enumeration: 2^34 comparisons, were each element searched for
        Builder b;
        std::vector<u32> names(2 * 0xffff);
        for (u32 i = 0; i < 0xffff; ++i) names[2 * i + 1] = i;
        const u32 one = b.add("e", Kind::Enum, 0xffff, 4, names);
        const u32 many = b.add("", Kind::Array, 0, 0, {one, one, 1u << 18});
        const std::vector<u8> value(4u << 18, 0xfe);
        EXPECT_EQ(told(b, many, value, &status).size(), 101u);
        EXPECT_TRUE(status);
    }
    {  // members that fan out over no bytes
        Builder b;
        u32 last = b.add("nothing", Kind::Struct, 0, 0);
        for (int depth = 0; depth < 40; ++depth)
            last = b.add("s", Kind::Struct, 2, 0, {0, last, 0, 0, last, 0});
        (void)told(b, last, {}, &status);
        EXPECT_EQ(status.error(), Errc::TooLarge);
    }
}

}  // namespace
}  // namespace ebpf::btf
