// SPDX-License-Identifier: MIT
#include "platform/section_memory.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "platform/memory.hpp"

namespace ebpf::platform {
namespace {

Bytes bytes(const char* text) {
    return {reinterpret_cast<const std::byte*>(text), std::strlen(text)};
}

TEST(SectionMemory, BeginsWithItsContent) {
    const auto memory = SectionMemory::create(bytes("content"), 5000);
    ASSERT_TRUE(memory);
    EXPECT_EQ(std::memcmp(memory->data(), "content", 8), 0);
    memory->data()[4999] = std::byte{1};
    EXPECT_FALSE(SectionMemory::create(bytes("content"), 3));
    EXPECT_FALSE(SectionMemory::create({}, 0));
}

TEST(SectionMemory, BecomesTheMapsPagesAtItsPlace) {
    auto memory = SectionMemory::create(bytes("before"), 100);
    ASSERT_TRUE(memory);
    std::byte* const place = memory->data();
    const auto map = create_shared(100);
    ASSERT_TRUE(map);
    std::memcpy(map->base, "after", 6);
    ASSERT_TRUE(memory->map_over(map->native, true));
    EXPECT_EQ(memory->data(), place);
    EXPECT_EQ(std::memcmp(place, "after", 6), 0);
    EXPECT_TRUE(mapped_writable_elsewhere(*map));
    place[0] = std::byte{'A'};
    EXPECT_EQ(map->base[0], std::byte{'A'});
    *memory = SectionMemory();
    EXPECT_FALSE(mapped_writable_elsewhere(*map));
    destroy_shared(*map);
}

TEST(SectionMemory, OfASealedMapIsOnlyRead) {
    auto memory = SectionMemory::create(bytes("before"), 100);
    ASSERT_TRUE(memory);
    const auto map = create_shared(100);
    ASSERT_TRUE(map);
    std::memcpy(map->base, "after", 6);
    ASSERT_TRUE(seal_shared(*map));
    EXPECT_EQ(memory->map_over(map->native, true).error().code, Errc::NotSupported);
    ASSERT_TRUE(*memory);
    EXPECT_EQ(std::memcmp(memory->data(), "before", 7), 0) << "everything stays";
    ASSERT_TRUE(memory->map_over(map->native, false));
    EXPECT_FALSE(mapped_writable_elsewhere(*map));
    EXPECT_EQ(std::memcmp(memory->data(), "after", 6), 0);
    destroy_shared(*map);
    EXPECT_EQ(std::memcmp(memory->data(), "after", 6), 0) << "a mapping keeps the pages";
}

TEST(SectionMemory, Moves) {
    auto memory = SectionMemory::create(bytes("before"), 3 * kPageSize);
    ASSERT_TRUE(memory);
    auto other = std::move(*memory);
    EXPECT_FALSE(*memory);
    EXPECT_EQ(std::memcmp(other.data(), "before", 7), 0);
}

}  // namespace
}  // namespace ebpf::platform
