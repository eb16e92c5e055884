// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/byte_reader.hpp"
#include "code/engine.hpp"

namespace ebpf::code {
namespace {

class Validate : public testing::Test {
  protected:
    Validate() {
        view_.engine = EngineKind::Jit;
        view_.cpu = Cpu::X86_64;
        view_.text = text_;
        view_.map_count = 2;
    }
    std::string outcome() {
        view_.relocations = relocations_;
        const Status s = validate(view_);
        return s ? "Ok"
                 : std::string(name(s.error().code)) + ": " +
                       (s.error().what == nullptr ? "" : s.error().what);
    }
    std::string with(Relocation r) {
        relocations_ = {r};
        return outcome();
    }

    std::array<std::byte, 64> text_{};
    std::vector<Relocation> relocations_;
    CodeView view_;
};

TEST_F(Validate, GoodCode) {
    EXPECT_EQ(outcome(), "Ok");
    relocations_ = {{.offset = 3, .kind = RelocKind::Helper64, .index = kCustomHelper | 5},
                    {.offset = 11, .kind = RelocKind::Map64, .index = 1},
                    {.offset = 19, .kind = RelocKind::MapValue64, .index = 0, .addend = 12},
                    {.offset = 56, .kind = RelocKind::Function64, .addend = 63}};
    EXPECT_EQ(outcome(), "Ok");
}

TEST_F(Validate, Header) {
    view_.entry = 64;
    EXPECT_EQ(outcome(), "OutOfBounds: entry");
    view_.entry = 63;
    EXPECT_EQ(outcome(), "Ok");
    view_.text = {};
    view_.entry = 0;
    EXPECT_EQ(outcome(), "OutOfBounds: entry");
    view_.text = text_;
    view_.cpu = Cpu::None;
    EXPECT_EQ(outcome(), "InvalidArgument: cpu");
    view_.cpu = static_cast<Cpu>(9);
    EXPECT_EQ(outcome(), "InvalidArgument: cpu");
    view_.engine = static_cast<EngineKind>(3);
    EXPECT_EQ(outcome(), "InvalidArgument: engine");
}

TEST_F(Validate, Relocations) {
    EXPECT_EQ(with({.offset = 57, .kind = RelocKind::Helper64}), "OutOfBounds: relocation");
    EXPECT_EQ(with({.offset = ~u32{0}, .kind = RelocKind::Helper64}), "OutOfBounds: relocation");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind{0}}), "BadFormat: relocation kind");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind{11}}), "BadFormat: relocation kind");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::Helper64, .reserved = {0, 1, 0}}),
              "ReservedField: relocation");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::Map64, .index = 2}), "OutOfBounds: map index");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::MapValue64, .index = 2}),
              "OutOfBounds: map index");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::Map64, .addend = 1}), "ReservedField: addend");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::Helper64, .addend = 1}),
              "ReservedField: addend");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::Function64, .addend = 64}),
              "OutOfBounds: function");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::Function64, .index = 1}),
              "ReservedField: index");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::ArrayValues64, .index = 1, .addend = 9}), "Ok");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::ArrayValues64, .index = 2}),
              "OutOfBounds: map index");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::ObjectSlots64, .index = 1}), "Ok");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::ObjectSlots64, .index = 2}),
              "OutOfBounds: map index");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::ObjectSlots64, .index = 1, .addend = 1}),
              "ReservedField: addend");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::Lookup64, .index = 1}), "Ok");
    EXPECT_EQ(with({.offset = 60, .kind = RelocKind::LookupNear32, .index = 1}), "Ok");
    EXPECT_EQ(with({.offset = 60, .kind = RelocKind::LookupNear32, .index = 2}),
              "OutOfBounds: map index");
    EXPECT_EQ(with({.offset = 60, .kind = RelocKind::HelperNear32}), "Ok");
    EXPECT_EQ(with({.offset = 61, .kind = RelocKind::HelperNear32}), "OutOfBounds: relocation");
    EXPECT_EQ(with({.offset = 0, .kind = RelocKind::HelperNear32, .addend = 1}),
              "ReservedField: addend");
    relocations_ = {{.offset = 0, .kind = RelocKind::HelperNear32},
                    {.offset = 4, .kind = RelocKind::Map64}};
    EXPECT_EQ(outcome(), "Ok");
    relocations_ = {{.offset = 0, .kind = RelocKind::Map64},
                    {.offset = 7, .kind = RelocKind::Map64}};
    EXPECT_EQ(outcome(), "BadFormat: overlapping relocations");
    relocations_ = {{.offset = 8, .kind = RelocKind::Map64},
                    {.offset = 0, .kind = RelocKind::Map64}};
    EXPECT_EQ(outcome(), "BadFormat: overlapping relocations");
}

TEST_F(Validate, Interpreter) {
    view_.engine = EngineKind::Interpreter;
    EXPECT_EQ(outcome(), "InvalidArgument: cpu of an interpreter");
    view_.cpu = Cpu::None;
    EXPECT_EQ(outcome(), "Ok");
    view_.entry = 4;
    EXPECT_EQ(outcome(), "BadFormat: entry");
    view_.entry = 0;
    EXPECT_EQ(with({.offset = 4, .kind = RelocKind::Helper64}),
              "BadFormat: relocation between instructions");
    EXPECT_EQ(with({.offset = 56, .kind = RelocKind::Helper64}), "Ok");
    EXPECT_EQ(with({.offset = 48, .kind = RelocKind::HelperNear32}), "BadFormat: relocation kind");
    EXPECT_EQ(with({.offset = 48, .kind = RelocKind::ArrayValues64}), "BadFormat: relocation kind");
    EXPECT_EQ(with({.offset = 48, .kind = RelocKind::Lookup64}), "BadFormat: relocation kind");
    EXPECT_EQ(with({.offset = 48, .kind = RelocKind::ObjectSlots64}), "BadFormat: relocation kind");
    EXPECT_EQ(with({.offset = 56, .kind = RelocKind::Map64}), "OutOfBounds: relocation");
    relocations_.clear();
    view_.text = Bytes(text_).first(63);
    EXPECT_EQ(outcome(), "Truncated: instructions");
}

TEST(Relocate, WritesAddresses) {
    std::array<std::byte, 40> text{};
    const Resolver resolver{nullptr,
                            [](void*, RelocKind kind, u32 index, u32 addend) -> Result<u64> {
                                if (index == 99) return u64{0};
                                if (index == 98) return fail(Errc::ObjectNotFound);
                                return static_cast<u64>(kind) * 1'000'000 + index * 1'000 + addend;
                            }};
    const Relocation good[] = {
        {.offset = 1, .kind = RelocKind::Helper64, .index = 7},
        {.offset = 9, .kind = RelocKind::MapValue64, .index = 1, .addend = 5},
        {.offset = 32, .kind = RelocKind::Function64, .addend = 20}};
    ASSERT_TRUE(relocate(text, good, resolver));
    EXPECT_EQ(load_le<u64>(text.data() + 1), 1'007'000u);
    EXPECT_EQ(load_le<u64>(text.data() + 9), 3'001'005u);
    EXPECT_EQ(load_le<u64>(text.data() + 32), reinterpret_cast<u64>(text.data() + 20));
    EXPECT_EQ(text[0], std::byte{0});
    EXPECT_EQ(text[17], std::byte{0});

    const auto error = [&](Relocation r) { return relocate(text, {&r, 1}, resolver).error().code; };
    EXPECT_EQ(error({.offset = 33, .kind = RelocKind::Map64}), Errc::OutOfBounds);
    EXPECT_EQ(error({.offset = 0, .kind = RelocKind::Function64, .addend = 40}), Errc::OutOfBounds);
    EXPECT_EQ(error({.offset = 0, .kind = RelocKind::Map64, .index = 99}), Errc::UnresolvedSymbol);
    EXPECT_EQ(error({.offset = 0, .kind = RelocKind::Map64, .index = 98}), Errc::ObjectNotFound);
}

// A helper within 2 GiB is called directly; else the call stays what it was.
TEST(Relocate, NearHelpers) {
    std::array<std::byte, 16> text{};
    const auto relocated = [&](u64 helper) {
        text.fill(std::byte{0x5A});
        const Resolver resolver{&helper, [](void* self, RelocKind kind, u32, u32) -> Result<u64> {
                                    EXPECT_EQ(kind, RelocKind::Helper64);
                                    return *static_cast<u64*>(self);
                                }};
        const Relocation r{.offset = 12, .kind = RelocKind::HelperNear32, .index = 7};
        const Status status = relocate(text, {&r, 1}, resolver);
        EXPECT_EQ(text[11], std::byte{0x5A});
        return status ? load_le<u32>(text.data() + 12) : 0;
    };
    const u64 behind = reinterpret_cast<u64>(text.data()) + 16;
    EXPECT_EQ(relocated(behind + 100), 100u);
    EXPECT_EQ(relocated(behind - 100), ~u32{0} - 99);
    EXPECT_EQ(relocated(behind + 0x7FFF'FFFF), 0x7FFF'FFFFu);
    EXPECT_EQ(relocated(behind - 0x8000'0000), 0x8000'0000u);
    EXPECT_EQ(relocated(behind + 0x8000'0000), 0x5A5A'5A5Au);
    EXPECT_EQ(relocated(behind - 0x8000'0001), 0x5A5A'5A5Au);
    EXPECT_EQ(relocated(0), 0u) << "an error";
    const Relocation outside{.offset = 13, .kind = RelocKind::HelperNear32};
    EXPECT_EQ(relocate(text, {&outside, 1}, {}).error().code, Errc::OutOfBounds);
}

}  // namespace
}  // namespace ebpf::code
