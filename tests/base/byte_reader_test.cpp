// SPDX-License-Identifier: MIT
#include "base/byte_reader.hpp"

#include <gtest/gtest.h>

#include <array>

namespace ebpf {
namespace {

constexpr std::array<u8, 9> kInput = {1, 2, 3, 4, 5, 'a', 'b', 0, 'c'};
Bytes input() {
    return std::as_bytes(std::span(kInput));
}

TEST(ByteReader, ReadsLittleEndianAtAnyAlignment) {
    ByteReader reader(input());
    EXPECT_EQ(reader.read<u8>().value(), 1);
    EXPECT_EQ(reader.read<u32>().value(), 0x05040302U);
    EXPECT_EQ(reader.offset(), 5U);
    EXPECT_EQ(reader.c_string().value(), "ab");
    EXPECT_EQ(reader.remaining(), 1U);
    EXPECT_EQ(reader.bytes(1)->size(), 1U);
    EXPECT_TRUE(reader.at_end());
}

TEST(ByteReader, AnErrorNamesTheFieldAndLeavesThePosition) {
    ByteReader reader(input(), 6);
    const Result<u32> read = reader.read<u32>("size");
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::Truncated);
    EXPECT_STREQ(read.error().what, "size");
    EXPECT_EQ(read.error().where.value, 6U);
    EXPECT_EQ(reader.offset(), 6U);
    EXPECT_FALSE(reader.bytes(4));
    EXPECT_EQ(reader.read<u8>().value(), 'b');
}

TEST(ByteReader, ARunOfTextWithoutItsEndIsAnError) {
    EXPECT_EQ(ByteReader(input(), 8).c_string().error().code, Errc::Truncated);
    EXPECT_EQ(ByteReader(input(), 7).c_string().value(), "");
}

TEST(ByteReader, PositionsPastTheEndAreAtTheEnd) {
    for (const u64 offset : {u64{9}, u64{10}, ~u64{0}}) {
        ByteReader reader(input(), offset);
        EXPECT_TRUE(reader.at_end());
        EXPECT_FALSE(reader.read<u8>());
        EXPECT_FALSE(reader.bytes(1));
        EXPECT_FALSE(reader.c_string());
    }
}

TEST(Slice, NeverWrapsAround) {
    EXPECT_EQ(slice(input(), 2, 3)->size(), 3U);
    EXPECT_EQ(slice(input(), 9, 0)->size(), 0U);
    EXPECT_FALSE(slice(input(), 10, 0));
    EXPECT_FALSE(slice(input(), 9, 1));
    EXPECT_FALSE(slice(input(), 1, ~u64{0}));
    EXPECT_FALSE(slice(input(), ~u64{0}, 2));
    EXPECT_FALSE(slice(input(), ~u64{0}, ~u64{0}));
}

}  // namespace
}  // namespace ebpf
