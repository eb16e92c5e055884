// SPDX-License-Identifier: MIT
#include "btf/btf.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "btf/types.hpp"
#include "builder.hpp"

namespace ebpf::btf {
namespace {

// One type of each kind; ids are the order.
Builder every_kind() {
    Builder b;
    b.integer("int", 4, true);                 // 1
    b.add("", Kind::Ptr, 0, 1);                // 2
    b.add("", Kind::Array, 0, 0, {1, 1, 10});  // 3
    const u32 a = b.string("a");
    const u32 c = b.string("c");
    b.add("s", Kind::Struct, 2, 48, {a, 1, 0, c, 3, 32});                            // 4
    b.add("u", Kind::Union, 2, 8, {a, 1, 0, c, 2, 0});                               // 5
    b.add("e", Kind::Enum, 2, 4, {a, 7, c, 0xffff'ffff}, true);                      // 6
    b.add("f", Kind::Fwd, 0, 0);                                                     // 7
    b.add("t", Kind::Typedef, 0, 4);                                                 // 8
    b.add("", Kind::Volatile, 0, 8);                                                 // 9
    b.add("", Kind::Const, 0, 9);                                                    // 10
    b.add("", Kind::Restrict, 0, 10);                                                // 11
    b.add("", Kind::FuncProto, 1, 1, {a, 2});                                        // 12
    b.add("main", Kind::Func, 1, 12);                                                // 13
    b.add("v", Kind::Var, 0, 10, {1});                                               // 14
    b.add(".data", Kind::Datasec, 1, 0, {14, 0, 48});                                // 15
    b.add("float", Kind::Float, 0, 8);                                               // 16
    b.add("tag", Kind::DeclTag, 0, 4, {1});                                          // 17
    b.add("user", Kind::TypeTag, 0, 1);                                              // 18
    b.add("big", Kind::Enum64, 1, 8, {a, 5, 2});                                     // 19
    b.add("bits", Kind::Struct, 2, 4, {a, 1, 5u << 24, c, 1, 27u << 24 | 5}, true);  // 20
    return b;
}

TEST(Btf, ReadsEveryKind) {
    const auto types = Types::parse(every_kind().bytes());
    ASSERT_TRUE(types);
    const View& view = (*types)->view();
    ASSERT_EQ(view.type_count(), 21u);
    EXPECT_EQ(view.size_of(1).value(), 4u);
    EXPECT_EQ(view.size_of(2).value(), 8u);
    EXPECT_EQ(view.size_of(3).value(), 40u);
    EXPECT_EQ(view.size_of(11).value(), 48u);  // restrict const volatile typedef struct
    EXPECT_EQ(view.resolve(11)->id, 4u);
    EXPECT_EQ(view.size_of(14).value(), 48u);
    EXPECT_FALSE(view.size_of(0));
    EXPECT_FALSE(view.size_of(7));
    EXPECT_FALSE(view.size_of(13));
    EXPECT_FALSE(view.type(21));

    const auto c = view.find_member(*view.type(4), "c");
    ASSERT_TRUE(c);
    EXPECT_EQ(c->bit_offset, 32u);
    EXPECT_EQ(c->type, 3u);
    EXPECT_EQ(name(view.find_member(*view.type(4), "x").error().code), "ObjectNotFound");
    EXPECT_FALSE(view.member(*view.type(4), 2));
    EXPECT_FALSE(view.member(*view.type(1), 0));

    EXPECT_EQ(view.enumerator(*view.type(6), 1)->value, ~u64{0});
    EXPECT_EQ(view.enumerator(*view.type(19), 0)->value, u64{2} << 32 | 5);
    EXPECT_EQ(view.parameter(*view.type(12), 0)->type, 2u);
    EXPECT_EQ(view.linkage(*view.type(13)).value(), Linkage::Global);
    EXPECT_EQ(view.linkage(*view.type(14)).value(), Linkage::Global);
    EXPECT_EQ(view.variable(*view.type(15), 0)->type, 14u);
    EXPECT_EQ(view.decl_tag_component(*view.type(17)).value(), 1);
    EXPECT_TRUE(view.integer(*view.type(1))->is_signed());
    EXPECT_EQ(view.member(*view.type(20), 1)->bit_size, 27u);
    EXPECT_EQ(view.member(*view.type(20), 1)->bit_offset, 5u);
    EXPECT_EQ((*types)->find(Kind::Func, "main")->id, 13u);
    EXPECT_FALSE((*types)->find(Kind::Struct, "main"));
}

struct Bad {
    const char* name;
    std::function<void(Builder&)> add;
    Errc code;
};
class BadType : public testing::TestWithParam<Bad> {};

TEST_P(BadType, IsRefusedWithTheTypeAsPlace) {
    Builder b;
    b.integer("int", 4, true);
    GetParam().add(b);
    const auto types = Types::parse(b.bytes());
    ASSERT_FALSE(types);
    EXPECT_EQ(name(types.error().code), name(GetParam().code));
    EXPECT_EQ(types.error().where.kind, Where::Kind::Type);
    EXPECT_GE(types.error().where.value, 2u);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadType,
    testing::Values(
        Bad{"unknown_kind", [](Builder& b) { b.add("", static_cast<Kind>(20), 0, 0); },
            Errc::BadFormat},
        Bad{"void_kind", [](Builder& b) { b.add("", Kind::Void, 0, 0); }, Errc::BadFormat},
        Bad{"id_outside", [](Builder& b) { b.add("", Kind::Ptr, 0, 3); }, Errc::OutOfBounds},
        Bad{"typedef_of_itself", [](Builder& b) { b.add("t", Kind::Typedef, 0, 2); },
            Errc::BadFormat},
        Bad{"circle_of_modifiers",
            [](Builder& b) {
                b.add("", Kind::Const, 0, 3);
                b.add("", Kind::Volatile, 0, 2);
            },
            Errc::BadFormat},
        Bad{"array_of_itself", [](Builder& b) { b.add("", Kind::Array, 0, 0, {2, 1, 1}); },
            Errc::BadFormat},
        Bad{"array_of_void", [](Builder& b) { b.add("", Kind::Array, 0, 0, {0, 1, 1}); },
            Errc::BadFormat},
        Bad{"array_too_large",
            [](Builder& b) {
                b.add("", Kind::Array, 0, 0, {1, 1, 0xffff'ffff});
                b.add("", Kind::Array, 0, 0, {2, 1, 0xffff'ffff});
            },
            Errc::TooLarge},
        Bad{"member_outside", [](Builder& b) { b.add("s", Kind::Struct, 1, 4, {0, 1, 8}); },
            Errc::OutOfBounds},
        Bad{"member_type", [](Builder& b) { b.add("s", Kind::Struct, 1, 4, {0, 9, 0}); },
            Errc::OutOfBounds},
        Bad{"bit_field_too_wide",
            [](Builder& b) { b.add("s", Kind::Struct, 1, 8, {0, 1, 33u << 24}, true); },
            Errc::BadFormat},
        Bad{"elements_missing", [](Builder& b) { b.add("s", Kind::Struct, 2, 4, {0, 1, 0}); },
            Errc::Truncated},
        Bad{"integer_size", [](Builder& b) { b.add("i", Kind::Int, 0, 4, {64}); }, Errc::BadFormat},
        Bad{"enum_size", [](Builder& b) { b.add("e", Kind::Enum, 0, 3); }, Errc::BadFormat},
        Bad{"func_of_int", [](Builder& b) { b.add("f", Kind::Func, 0, 1); }, Errc::BadFormat},
        Bad{"linkage", [](Builder& b) { b.add("v", Kind::Var, 0, 1, {3}); }, Errc::BadFormat},
        Bad{"section_of_types", [](Builder& b) { b.add("d", Kind::Datasec, 1, 4, {1, 0, 4}); },
            Errc::BadFormat},
        Bad{"elements_of_a_pointer", [](Builder& b) { b.add("", Kind::Ptr, 1, 1); },
            Errc::BadFormat}),
    [](const auto& tested) { return tested.param.name; });

TEST(Btf, NamesOutsideTheStringsAreRefused) {
    auto bytes = every_kind().bytes();
    store_le<u32>(bytes.data() + 24, 0x10000);  // name of type 1
    const auto types = Types::parse(bytes);
    ASSERT_FALSE(types);
    EXPECT_EQ(name(types.error().code), "OutOfBounds");
    EXPECT_EQ(types.error().where.value, 1u);
}

TEST(Btf, HeadersAreChecked) {
    const auto good = every_kind().bytes();
    const auto code_of = [&](u64 offset, auto value) {
        auto bytes = good;
        store_le(bytes.data() + offset, value);
        const auto types = Types::parse(bytes);
        return types ? "accepted" : name(types.error().code);
    };
    EXPECT_EQ(code_of(0, u16{0x9feb}), "BadMagic");
    EXPECT_EQ(code_of(2, u8{2}), "Unsupported");
    EXPECT_EQ(code_of(3, u8{1}), "Unsupported");
    EXPECT_EQ(code_of(4, u32{20}), "BadFormat");
    EXPECT_EQ(code_of(4, ~u32{0}), "Truncated");
    EXPECT_EQ(code_of(8, u32{2}), "BadFormat");
    EXPECT_EQ(code_of(12, ~u32{0}), "Truncated");
    EXPECT_EQ(code_of(16, ~u32{0}), "Truncated");
    EXPECT_EQ(code_of(20, u32{0}), "BadFormat");
}

TEST(Btf, IndexNeedsTheRightRoom) {
    const auto bytes = every_kind().bytes();
    auto view = View::open(bytes);
    ASSERT_TRUE(view);
    const u32 count = view->count_types().value();
    std::vector<u32> room(count);
    EXPECT_FALSE(view->index({room.data(), count - 1}));
    EXPECT_TRUE(view->index(room));
    EXPECT_TRUE(view->validate());
}

// Asks everything of every type, as a consumer of validated data would: nothing may fail.
void use_everything(const View& view) {
    for (u32 id = 0; id < view.type_count(); ++id) {
        const auto type = view.type(id);
        ASSERT_TRUE(type);
        EXPECT_TRUE(view.name(*type));
        (void)view.size_of(id);
        EXPECT_TRUE(view.resolve(id));
        for (u32 i = 0; i < type->count; ++i) {
            if (type->is_struct_or_union()) {
                const auto member = view.member(*type, i);
                ASSERT_TRUE(member);
                EXPECT_TRUE(view.size_of(member->type));
                EXPECT_TRUE(view.string(member->name_offset));
            } else if (type->kind == Kind::Datasec) {
                ASSERT_TRUE(view.variable(*type, i));
                EXPECT_TRUE(view.type(view.variable(*type, i)->type));
            }
        }
    }
}

TEST(Btf, DamageIsRefusedOrHarmless) {
    const auto good = every_kind().bytes();
    for (u64 size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(Types::parse(std::vector(good.begin(), good.begin() + size)));
    }
    std::mt19937 random(3);
    int accepted = 0;
    for (int round = 0; round < 30000; ++round) {
        auto bytes = good;
        for (u32 n = 1 + random() % 2; n > 0; --n) {
            bytes[random() % bytes.size()] ^= std::byte(1 << random() % 8);
        }
        const auto types = Types::parse(bytes);
        if (!types) continue;
        ++accepted;
        use_everything((*types)->view());
    }
    EXPECT_GT(accepted, 1000);
    EXPECT_LT(accepted, 29000);
}

// .BTF.ext with one section of one record in each table.
std::vector<std::byte> extension() {
    const u32 words[] = {0x0001'eb9f, 32, 0, 20, 20, 28, 48,
                         28,                                             // header
                         8,           1,  1, 16, 13,                     // functions
                         16,          1,  1, 8,  2,  3,  77u << 10 | 5,  // lines
                         16,          1,  1, 24, 4,  6,  0};             // CO-RE
    std::vector<std::byte> out(sizeof words);
    std::memcpy(out.data(), words, sizeof words);
    return out;
}

TEST(BtfExtension, ReadsTheThreeTables) {
    const auto bytes = extension();
    auto extension = Extension::open(bytes);
    ASSERT_TRUE(extension);
    const auto functions = extension->functions.next();
    ASSERT_TRUE(functions);
    EXPECT_EQ(functions->size(), 1u);
    EXPECT_EQ(functions->function(0)->type, 13u);
    EXPECT_FALSE(functions->function(1));
    EXPECT_TRUE(extension->functions.at_end());
    const auto lines = extension->lines.next();
    ASSERT_TRUE(lines);
    EXPECT_EQ(lines->line(0)->line, 77u);
    EXPECT_EQ(lines->line(0)->column, 5u);
    const auto core = extension->core.next();
    ASSERT_TRUE(core);
    EXPECT_EQ(core->core(0)->offset, 24u);
}

TEST(BtfExtension, DamageIsRefusedOrHarmless) {
    const auto good = extension();
    std::mt19937 random(4);
    for (int round = 0; round < 20000; ++round) {
        auto bytes = good;
        bytes[random() % bytes.size()] ^= std::byte(1 << random() % 8);
        if (round % 3 == 0) bytes.resize(random() % bytes.size());
        auto extension = Extension::open(bytes);
        if (!extension) continue;
        for (InfoReader* table : {&extension->functions, &extension->lines, &extension->core}) {
            while (!table->at_end()) {
                const auto section = table->next();
                if (!section) break;
                for (u32 i = 0; i < section->size(); ++i) EXPECT_TRUE(section->function(i));
            }
        }
    }
}

}  // namespace
}  // namespace ebpf::btf
