// SPDX-License-Identifier: MIT
#include "btf/core.hpp"

#include <gtest/gtest.h>

#include "btf/types.hpp"
#include "builder.hpp"

namespace ebpf::btf {
namespace {

// struct outer { int a; struct { int flags : 5, mode : 20, rest : 7; short x[4]; } in; char *p; };
class Core : public testing::Test {
  protected:
    void SetUp() override {
        int_ = b_.integer("int", 4, true);
        short_ = b_.integer("unsigned short", 2, false);
        array_ = b_.add("", Kind::Array, 0, 0, {short_, int_, 4});
        pointer_ = b_.add("", Kind::Ptr, 0, short_);
        const u32 n = b_.string("n");
        inner_ = b_.add(
            "inner", Kind::Struct, 4, 12,
            {n, int_, 5u << 24, n, int_, 20u << 24 | 5, n, int_, 7u << 24 | 25, n, array_, 32},
            true);
        outer_ =
            b_.add("outer", Kind::Struct, 3, 24, {n, int_, 0, n, inner_, 32, n, pointer_, 128});
        enum_ = b_.add("e", Kind::Enum64, 2, 8, {n, 1, 0, n, 2, 9});
    }
    std::string ask(u32 type, const std::string& access, CoreKind kind) {
        Builder b = b_;
        const u32 text = b.string(access);
        const auto types = Types::parse(b.bytes());
        if (!types) return "invalid types";
        const auto value = core_value(
            (*types)->view(), {.type = type, .access = text, .kind = static_cast<u32>(kind)});
        return value ? std::to_string(*value) : std::string(name(value.error().code));
    }

    Builder b_;
    u32 int_ = 0, short_ = 0, array_ = 0, pointer_ = 0, inner_ = 0, outer_ = 0, enum_ = 0;
};

TEST_F(Core, Fields) {
    EXPECT_EQ(ask(outer_, "0:0", CoreKind::FieldByteOffset), "0");
    EXPECT_EQ(ask(outer_, "0:2", CoreKind::FieldByteOffset), "16");
    EXPECT_EQ(ask(outer_, "2:2", CoreKind::FieldByteOffset), "64");
    EXPECT_EQ(ask(outer_, "0:1:3:2", CoreKind::FieldByteOffset), "12");
    EXPECT_EQ(ask(outer_, "0:1:3:2", CoreKind::FieldByteSize), "2");
    EXPECT_EQ(ask(outer_, "0:1:3", CoreKind::FieldByteSize), "8");
    EXPECT_EQ(ask(outer_, "0:1:3:2", CoreKind::FieldSigned), "0");
    EXPECT_EQ(ask(outer_, "0:0", CoreKind::FieldSigned), "1");
    EXPECT_EQ(ask(outer_, "0:0", CoreKind::FieldExists), "1");
    EXPECT_EQ(ask(outer_, "0:1:3:2", CoreKind::FieldLshift), "48");
    EXPECT_EQ(ask(outer_, "0:1:3:2", CoreKind::FieldRshift), "48");
}

TEST_F(Core, BitFields) {
    // mode: bits 5..24 of the four bytes at 4.
    EXPECT_EQ(ask(outer_, "0:1:1", CoreKind::FieldByteOffset), "4");
    EXPECT_EQ(ask(outer_, "0:1:1", CoreKind::FieldByteSize), "4");
    EXPECT_EQ(ask(outer_, "0:1:1", CoreKind::FieldLshift), "39");
    EXPECT_EQ(ask(outer_, "0:1:1", CoreKind::FieldRshift), "44");
}

TEST_F(Core, TypesAndEnumerators) {
    EXPECT_EQ(ask(outer_, "0", CoreKind::TypeSize), "24");
    EXPECT_EQ(ask(outer_, "0", CoreKind::TypeExists), "1");
    EXPECT_EQ(ask(outer_, "0", CoreKind::TypeMatches), "1");
    EXPECT_EQ(ask(outer_, "0", CoreKind::TypeIdLocal), std::to_string(outer_));
    EXPECT_EQ(ask(outer_, "0", CoreKind::TypeIdTarget), std::to_string(outer_));
    EXPECT_EQ(ask(enum_, "1", CoreKind::EnumvalValue), std::to_string((u64{9} << 32) + 2));
    EXPECT_EQ(ask(enum_, "1", CoreKind::EnumvalExists), "1");
}

TEST_F(Core, BadRecordsAreRefused) {
    EXPECT_EQ(ask(outer_, "0:3", CoreKind::FieldByteOffset), "BadFormat");
    EXPECT_EQ(ask(outer_, "0:0:0", CoreKind::FieldByteOffset), "BadFormat");
    EXPECT_EQ(ask(outer_, "", CoreKind::FieldByteOffset), "BadFormat");
    EXPECT_EQ(ask(outer_, "0:", CoreKind::FieldByteOffset), "BadFormat");
    EXPECT_EQ(ask(outer_, "x", CoreKind::FieldByteOffset), "BadFormat");
    EXPECT_EQ(ask(outer_, "99999999999", CoreKind::FieldByteOffset), "BadFormat");
    EXPECT_EQ(ask(enum_, "2", CoreKind::EnumvalValue), "BadFormat");
    EXPECT_EQ(ask(99, "0", CoreKind::TypeSize), "OutOfBounds");
    EXPECT_EQ(ask(outer_, "0", static_cast<CoreKind>(13)), "Unsupported");
}

TEST(CorePatch, WritesTheOperand) {
    isa::Insn mov{.form = isa::Form::AluImm, .kind = static_cast<u8>(isa::AluOp::Mov)};
    EXPECT_TRUE(core_patch(mov, CoreKind::FieldByteSize, 40));
    EXPECT_EQ(mov.imm, 40);
    EXPECT_FALSE(core_patch(mov, CoreKind::EnumvalValue, u64{1} << 40));
    EXPECT_TRUE(core_patch(mov, CoreKind::EnumvalValue, ~u64{0}));
    EXPECT_EQ(mov.imm, -1);
    isa::Insn load{.form = isa::Form::Load, .width = isa::Width::W32};
    EXPECT_TRUE(core_patch(load, CoreKind::FieldByteOffset, 1000));
    EXPECT_EQ(load.off, 1000);
    EXPECT_FALSE(core_patch(load, CoreKind::FieldByteOffset, 0x8000));
    EXPECT_FALSE(core_patch(load, CoreKind::FieldByteSize, 8));
    isa::Insn wide{.form = isa::Form::Wide};
    EXPECT_TRUE(core_patch(wide, CoreKind::EnumvalValue, u64{1} << 40));
    EXPECT_EQ(wide.imm, i64{1} << 40);
    isa::Insn exit{.form = isa::Form::Exit};
    EXPECT_FALSE(core_patch(exit, CoreKind::FieldByteOffset, 1));
}

}  // namespace
}  // namespace ebpf::btf
