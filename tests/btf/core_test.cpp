// SPDX-License-Identifier: MIT
#include "btf/core.hpp"

#include <gtest/gtest.h>

#include <algorithm>

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

TEST(EssentialName, IsWithoutTheFlavour) {
    EXPECT_EQ(essential_name("task"), "task");
    EXPECT_EQ(essential_name("task___old"), "task");
    EXPECT_EQ(essential_name("task___very___old"), "task___very");
    EXPECT_EQ(essential_name("task____old"), "task____old");
    EXPECT_EQ(essential_name("___task"), "___task");
    EXPECT_EQ(essential_name("task___"), "task___");
    EXPECT_EQ(essential_name("t___o"), "t");
    EXPECT_EQ(essential_name(""), "");
}

TEST(Names, AreFoundWithAndWithoutFlavour) {
    Builder b;
    const u32 number = b.integer("number", 4, true);
    const u32 first = b.add("task___one", Kind::Struct, 0, 0);
    b.add("task", Kind::Union, 0, 0);
    const u32 second = b.add("task", Kind::Struct, 0, 4);
    b.add("task", Kind::Struct, 0, 8);
    b.add("", Kind::Struct, 0, 8);
    const auto types = Types::parse(b.bytes());
    ASSERT_TRUE(types);
    EXPECT_EQ((*types)->find(Kind::Struct, "task")->id, second);
    EXPECT_EQ((*types)->find(Kind::Int, "number")->id, number);
    EXPECT_FALSE((*types)->find(Kind::Struct, "number"));
    EXPECT_FALSE((*types)->find(Kind::Struct, ""));
    const auto of_name = (*types)->candidates("task___three");
    EXPECT_NE(std::ranges::find(of_name, first), of_name.end());
    EXPECT_NE(std::ranges::find(of_name, second), of_name.end());
    EXPECT_TRUE(std::ranges::is_sorted(of_name));
}

// Two sides that a test fills, and questions from one to the other.
class CoreSides : public testing::Test {
  protected:
    std::string ask(u32 type, const std::string& access, CoreKind kind) {
        const u32 text = local_.string(access);
        const auto local = Types::parse(local_.bytes());
        const auto target = Types::parse(target_.bytes());
        if (!local || !target) return "invalid types";
        CoreResolver resolver((*local)->view(), **target);
        const CoreRecord record{.type = type, .access = text, .kind = static_cast<u32>(kind)};
        const CoreAnswer& answer = resolver.resolve(record);
        why_ = resolver.explain(record);
        if (answer.error.code != Errc::Ok) return std::string(name(answer.error.code));
        return answer.missing ? "missing" : std::to_string(answer.value);
    }
    std::string matches(u32 type) { return ask(type, "0", CoreKind::TypeMatches); }
    std::string exists(u32 type) { return ask(type, "0", CoreKind::TypeExists); }

    Builder local_, target_;
    std::string why_;
};

// typedef RESULT name(PARAMETER *), on one side.
u32 prototype(Builder& b, const char* name, u32 result, u32 parameter) {
    const u32 pointer = b.add("", Kind::Ptr, 0, parameter);
    const u32 proto = b.add("", Kind::FuncProto, 1, result, {0, pointer});
    return b.add(name, Kind::Typedef, 0, proto);
}

TEST_F(CoreSides, PrototypesExistByKindAndMatchByName) {
    const u32 here = local_.integer("int", 4, true), there = target_.integer("int", 4, true);
    const u32 asked = prototype(local_, "call", here, local_.add("a", Kind::Struct, 0, 4));
    prototype(target_, "call", there, target_.add("b", Kind::Struct, 0, 4));
    EXPECT_EQ(exists(asked), "1");
    EXPECT_EQ(matches(asked), "0");
    EXPECT_EQ(why_, "typedef call is another than the program's");
    const u32 other = prototype(local_, "other", here, local_.add("a___x", Kind::Struct, 0, 4));
    prototype(target_, "other", there, target_.add("a___y", Kind::Struct, 0, 4));
    EXPECT_EQ(matches(other), "1");
    // Behind a pointer a declaration will do, of the right kind.
    const u32 declared = prototype(local_, "declared", here, local_.add("d", Kind::Fwd, 0, 0));
    prototype(target_, "declared", there, target_.add("d", Kind::Struct, 0, 4));
    EXPECT_EQ(matches(declared), "1");
    EXPECT_EQ(exists(declared), "0");
    const u32 wrong = prototype(local_, "wrong", here, local_.add("u", Kind::Fwd, 0, 0, {}, true));
    prototype(target_, "wrong", there, target_.add("u", Kind::Struct, 0, 4));
    EXPECT_EQ(matches(wrong), "0");
}

TEST_F(CoreSides, NumbersMatchBySizeAndSign) {
    const u32 same = local_.integer("same", 4, true), size = local_.integer("size", 4, true),
              sign = local_.integer("sign", 4, true);
    target_.integer("same", 4, true);
    target_.integer("size", 8, true);
    target_.integer("sign", 4, false);
    EXPECT_EQ(matches(same), "1");
    EXPECT_EQ(matches(size), "0");
    EXPECT_EQ(matches(sign), "0");
    EXPECT_EQ(exists(size), "1");
    EXPECT_EQ(exists(sign), "1");
}

TEST_F(CoreSides, EnumsOfBothKindsAreAlike) {
    const u32 a = local_.string("A___x"), b = local_.string("B");
    const u32 asked = local_.add("e", Kind::Enum, 2, 8, {a, 1, b, 2});
    const u32 target_a = target_.string("A");
    target_.add("e", Kind::Enum64, 1, 8, {target_a, 7, 1});
    EXPECT_EQ(ask(asked, "0", CoreKind::EnumvalValue), std::to_string((u64{1} << 32) + 7));
    EXPECT_EQ(ask(asked, "1", CoreKind::EnumvalValue), "missing");
    EXPECT_EQ(why_, "enum e has no enumerator 'B'");
    EXPECT_EQ(ask(asked, "1", CoreKind::EnumvalExists), "0");
    EXPECT_EQ(matches(asked), "0") << "more enumerators here than there";
}

TEST_F(CoreSides, KindsOfTypesAndMembersMustBeTheSame) {
    const u32 here = local_.integer("int", 4, true);
    const u32 member = local_.string("m"), target_member = target_.string("m");
    const u32 asked = local_.add("s", Kind::Struct, 1, 4, {member, here, 0});
    target_.add("s", Kind::Union, 0, 4);
    EXPECT_EQ(exists(asked), "0");
    EXPECT_EQ(why_, "there is no struct s");
    // A structure may be a union inside another.
    const u32 inner = local_.add("in", Kind::Struct, 0, 4);
    const u32 outer = local_.add("out", Kind::Struct, 1, 4, {member, inner, 0});
    const u32 target_inner = target_.add("other", Kind::Union, 0, 4);
    target_.add("out", Kind::Struct, 1, 8, {target_member, target_inner, 32});
    EXPECT_EQ(ask(outer, "0:0", CoreKind::FieldByteOffset), "4");
}

TEST_F(CoreSides, TypesAndMembersWithoutANameAreRefused) {
    const u32 here = local_.integer("int", 4, true);
    const u32 inner = local_.add("", Kind::Struct, 0, 4);
    const u32 outer = local_.add("out", Kind::Struct, 1, 4, {0, inner, 0});
    (void)here;
    EXPECT_EQ(exists(inner), "Unsupported");
    EXPECT_EQ(ask(outer, "0:0", CoreKind::FieldByteOffset), "Unsupported");
    EXPECT_EQ(ask(outer, "0:1", CoreKind::FieldByteOffset), "BadFormat");
}

// Unions without a name, in each other twice: as many ways as there are atoms, and a limit.
TEST_F(CoreSides, WorkIsBounded) {
    const u32 here = local_.integer("int", 4, true);
    const u32 there_int = target_.integer("int", 4, true);
    u32 there = there_int;
    for (int level = 0; level < 60; ++level)
        there = target_.add("", Kind::Union, 2, 4, {0, there, 0, 0, there, 0});
    target_.add("deep", Kind::Struct, 1, 4, {0, there, 0});
    const u32 asked = local_.add("deep", Kind::Struct, 1, 4, {local_.string("nowhere"), here, 0});
    EXPECT_EQ(ask(asked, "0:0", CoreKind::FieldExists), "TooLarge");
    // The same for what is compared as a whole.
    const auto nested = [](Builder& b, u32 type) {
        for (int level = 0; level < 30; ++level)
            type = b.add("u", Kind::Union, 2, 4, {b.string("a"), type, 0, b.string("b"), type, 0});
        return type;
    };
    const u32 whole = nested(local_, here);
    nested(target_, there_int);
    EXPECT_EQ(matches(whole), "TooLarge");
}

TEST(CorePatch, ChecksWhatTheCompilerWroteAndResizes) {
    isa::Insn mov{.form = isa::Form::AluImm, .kind = static_cast<u8>(isa::AluOp::Mov), .imm = 8};
    EXPECT_TRUE(core_patch(mov, CoreKind::FieldByteSize, {.value = 16, .local = 8}));
    EXPECT_FALSE(core_patch(mov, CoreKind::FieldByteSize, {.value = 24, .local = 8}));
    isa::Insn load{.form = isa::Form::Load, .width = isa::Width::W32, .off = 4};
    CoreAnswer wider{.value = 8, .local = 4, .local_size = 4, .size = 8, .may_resize = true};
    EXPECT_EQ(core_patch(load, CoreKind::FieldByteOffset, wider), true);
    EXPECT_EQ(load.width, isa::Width::W64);
    EXPECT_EQ(load.off, 8);
    // Sign extension and numbers with a sign would give another value: to be poisoned.
    isa::Insn sign{.form = isa::Form::LoadSx, .width = isa::Width::W32, .off = 4};
    EXPECT_EQ(core_patch(sign, CoreKind::FieldByteOffset, wider), false);
    wider.may_resize = false;
    isa::Insn again{.form = isa::Form::Load, .width = isa::Width::W32, .off = 4};
    EXPECT_EQ(core_patch(again, CoreKind::FieldByteOffset, wider), false);
    // Another size than the field's own, and one that no access has.
    wider.may_resize = true;
    isa::Insn half{.form = isa::Form::Load, .width = isa::Width::W16, .off = 4};
    EXPECT_FALSE(core_patch(half, CoreKind::FieldByteOffset, wider));
    wider.size = 16;
    EXPECT_FALSE(core_patch(again, CoreKind::FieldByteOffset, wider));
    EXPECT_EQ(core_patch(again, CoreKind::FieldByteOffset, {.missing = true}), false);
}

TEST(CorePatch, WritesTheOperand) {
    const auto patch = [](isa::Insn& insn, CoreKind kind, u64 value) {
        return core_patch(insn, kind, {.value = value}).has_value();
    };
    isa::Insn mov{.form = isa::Form::AluImm, .kind = static_cast<u8>(isa::AluOp::Mov)};
    EXPECT_TRUE(patch(mov, CoreKind::FieldByteSize, 40));
    EXPECT_EQ(mov.imm, 40);
    EXPECT_FALSE(patch(mov, CoreKind::EnumvalValue, u64{1} << 40));
    EXPECT_TRUE(patch(mov, CoreKind::EnumvalValue, ~u64{0}));
    EXPECT_EQ(mov.imm, -1);
    isa::Insn load{.form = isa::Form::Load, .width = isa::Width::W32};
    EXPECT_TRUE(patch(load, CoreKind::FieldByteOffset, 1000));
    EXPECT_EQ(load.off, 1000);
    EXPECT_FALSE(patch(load, CoreKind::FieldByteOffset, 0x8000));
    EXPECT_FALSE(patch(load, CoreKind::FieldByteSize, 8));
    isa::Insn wide{.form = isa::Form::Wide};
    EXPECT_TRUE(patch(wide, CoreKind::EnumvalValue, u64{1} << 40));
    EXPECT_EQ(wide.imm, i64{1} << 40);
    isa::Insn exit{.form = isa::Form::Exit};
    EXPECT_FALSE(patch(exit, CoreKind::FieldByteOffset, 1));
}

}  // namespace
}  // namespace ebpf::btf
