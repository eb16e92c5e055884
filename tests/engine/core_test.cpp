// SPDX-License-Identifier: MIT
//
// CO-RE against a target, by what comes out: programs that were compiled against other types
// (tests/objects/core.c) run over a structure that this compiler lays out as the target has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/environment.hpp"
#include "engine/job.hpp"
#include "engine/object.hpp"
#include "engine/report_text.hpp"
#include "engine/types_file.hpp"
#include "engine/vm.hpp"

namespace ebpf::engine {
namespace {

namespace target {
#include "../objects/core_target.h"
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const Bytes bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

// One compiler's objects.
class CoreTarget : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        folder_ = std::filesystem::path(CASEMENT_TEST_OBJECTS) / GetParam();
        if (!std::filesystem::exists(folder_)) GTEST_SKIP() << "no " << GetParam();
        const auto types = read_types(read_file(folder_ / "core_target.o"));
        ASSERT_TRUE(types);
        types_ = *types;
        object_ = read("core", types_.get());
    }

    Object read(const std::string& name, const btf::Types* types) const {
        ReadOptions options{.name = name, .dialect = spec::Dialect::Linux};
        options.target = types;
        auto object = read_object(read_file(folder_ / (name + ".o")), options);
        EXPECT_TRUE(object);
        return object ? std::move(*object) : Object{};
    }

    // Verifies the program over memory of that size and runs it on both engines.
    template <typename T>
    u64 run(const char* name, T& memory) const {
        const ObjectProgram* program = object_.find({}, name);
        if (program == nullptr || !program->program) {
            ADD_FAILURE() << name << ": " << (program ? program->message : "not there");
            return 0;
        }
        const auto slots = ir::encode_program(*program->program);
        u64 results[2] = {};
        T after[2] = {memory, memory};
        for (const auto kind : {code::EngineKind::Interpreter, code::EngineKind::Jit}) {
            const auto n = static_cast<std::size_t>(kind == code::EngineKind::Jit);
            Vm vm;
            vm.engine = kind;
            vm.memory_size = sizeof memory;
            EXPECT_TRUE(vm.load(*slots)) << name << ": " << vm.error;
            EXPECT_TRUE(vm.verify()) << name << ": " << vm.error;
            EXPECT_TRUE(vm.compile()) << name << ": " << vm.error;
            const auto result = vm.run(&after[n], sizeof memory);
            EXPECT_TRUE(result) << name;
            if (result) results[n] = *result;
        }
        EXPECT_EQ(results[0], results[1]) << name;
        EXPECT_EQ(std::memcmp(&after[0], &after[1], sizeof memory), 0) << name;
        memory = after[0];
        return results[0];
    }
    u64 answer(const char* name) const {
        target::gadget none{};
        return run(name, none);
    }

    // The verdict's text for a program that needs what the target lacks.
    std::string refusal(const char* name, bool through_a_job = false) const {
        const ObjectProgram* found = object_.find({}, name);
        if (found == nullptr || !found->program) return "not there";
        ir::Program program = *found->program;
        if (through_a_job) {
            const auto job = job_of(program);
            const auto decoded = job ? decode_job(encode(*job)) : std::unexpected(job.error());
            auto again = decoded ? program_of(*decoded) : std::unexpected(decoded.error());
            EXPECT_TRUE(again);
            if (again) program = std::move(*again);
        }
        const auto environment = environment_of(program);
        if (!environment) return "no environment";
        const auto report = verifier::analyze(program, *environment, {});
        if (report.verdict != verifier::Verdict::Unsupported) return "another verdict";
        return report_text(program, report, {});
    }

    std::filesystem::path folder_;
    std::shared_ptr<const btf::Types> types_;
    Object object_;
};

target::gadget example() {
    target::gadget g{};
    std::memset(&g, 0xee, sizeof g);
    g.narrow = 0x1'2222'3333ull;
    g.wide = 0xf444'5555u;
    g.deep = 66;
    g.in.list[3] = 33;
    g.in.n = 0x7'0000'0007ull;
    g.before = 5;
    g.mode = 0xabc;
    g.flags = 0x155;
    g.first = 11;
    return g;
}

TEST_P(CoreTarget, MembersAreReadWhereTheyAre) {
    target::gadget g = example();
    EXPECT_EQ(run("first", g), 11u);
    EXPECT_EQ(run("deep", g), 66u);
    EXPECT_EQ(run("element", g), 33u);
    EXPECT_EQ(run("second_of_two", g), sizeof g + offsetof(target::gadget, first));
    target::pair_t pair{.b = 5, .a = 6};
    EXPECT_EQ(run("through_typedef", pair), 5u);
    std::array<unsigned char, sizeof(target::gadget) + 8> whole{};
    whole[offsetof(target::gadget, tail) + 3] = 99;
    EXPECT_EQ(run("in_tail", whole), 99u);
}

TEST_P(CoreTarget, UnsignedNumbersAreAccessedInTheirSize) {
    target::gadget g = example();
    // A program that works with 32 bits has the low ones.
    EXPECT_EQ(static_cast<u32>(run("narrow", g)), 0x2222'3333u);
    EXPECT_EQ(static_cast<u32>(run("flavour", g)), 0x2222'3333u);
    EXPECT_EQ(run("wide", g), 0xf444'5555u);
    EXPECT_EQ(static_cast<u32>(run("nested", g)), 7u);
    run("store_narrow", g);
    EXPECT_EQ(g.narrow, 77u);
    EXPECT_EQ(g.wide, example().wide);
}

TEST_P(CoreTarget, BitFieldsMoveAndGrow) {
    target::gadget g = example();
    EXPECT_EQ(run("bit_field", g), 0xabcu);
    EXPECT_EQ(answer("rshift_of_flags"), 64u - 9);
    EXPECT_EQ(answer("lshift_of_flags"), 64u - (3 + 12 + 9));
}

TEST_P(CoreTarget, SizesAndSigns) {
    EXPECT_EQ(answer("size_of_narrow"), 8u);
    EXPECT_EQ(answer("size_of_array"), sizeof(target::gadget::array));
    EXPECT_EQ(answer("sign_of_first"), 1u);
    EXPECT_EQ(answer("sign_of_wide"), 0u);
    EXPECT_EQ(answer("size_of_type"), sizeof(target::gadget));
    EXPECT_EQ(answer("size_of_nothing"), 0u);
}

TEST_P(CoreTarget, WhatExists) {
    EXPECT_EQ(answer("first_exists"), 1u);
    EXPECT_EQ(answer("gone_exists"), 0u);
    EXPECT_EQ(answer("pointer_now_exists"), 0u);
    EXPECT_EQ(answer("element_3_exists"), 1u);
    EXPECT_EQ(answer("element_5_exists"), 0u);
    EXPECT_EQ(answer("type_exists"), 1u);
    EXPECT_EQ(answer("typedef_exists"), 1u);
    EXPECT_EQ(answer("nothing_exists"), 0u);
    EXPECT_EQ(answer("green_exists"), 1u);
    EXPECT_EQ(answer("black_exists"), 0u);
    if (object_.find({}, "same_matches") == nullptr) return;  // clang 14
    EXPECT_EQ(answer("same_matches"), 1u);
    EXPECT_EQ(answer("inner_matches"), 0u);
}

TEST_P(CoreTarget, EnumeratorsAndIds) {
    EXPECT_EQ(answer("green"), 50u);
    if (object_.find({}, "high") != nullptr) {
        EXPECT_EQ(answer("high"), u64{target::BIG_HIGH});
    }
    const auto gadget = types_->find(btf::Kind::Struct, "gadget");
    ASSERT_TRUE(gadget);
    EXPECT_EQ(answer("target_id"), gadget->id);
    const auto own = object_.btf->find(btf::Kind::Struct, "gadget");
    ASSERT_TRUE(own);
    EXPECT_EQ(answer("local_id"), own->id);
}

TEST_P(CoreTarget, WhatIsMissingMayBeAskedForWhereNothingLeads) {
    EXPECT_EQ(answer("guarded"), 7u);
    EXPECT_EQ(answer("guarded_black"), 8u);
    struct Row {
        const char *program, *text;
    };
    constexpr Row kRows[] = {
        {"unguarded", "struct gadget has no member 'gone'"},
        {"unguarded_black", "enum color has no enumerator 'BLACK'"},
        {"other_kind",
         "member 'pointer_now' of struct gadget is of another kind than the program's"},
        {"other_size", "'resized_signed' of struct gadget has 8 bytes where the program's has 4"},
        {"beyond_array", "struct gadget has no 'array[5]'"},
        {"no_such_type", "there is no struct nothing"},
    };
    for (const Row& row : kRows) {
        for (const bool through_a_job : {false, true}) {
            EXPECT_THAT(refusal(row.program, through_a_job), testing::HasSubstr(row.text));
            EXPECT_THAT(refusal(row.program), testing::HasSubstr("[target-lacks]"));
        }
    }
}

TEST_P(CoreTarget, AmbiguousAnswersAreAnErrorThatNamesBoth) {
    const Object object = read("core_ambiguous", types_.get());
    const ObjectProgram* program = object.find({}, "ambiguous");
    ASSERT_NE(program, nullptr);
    ASSERT_FALSE(program->program);
    EXPECT_EQ(name(program->program.error().code), "AmbiguousTypes");
    EXPECT_THAT(program->message, testing::HasSubstr("struct twin___one"));
    EXPECT_THAT(program->message, testing::HasSubstr("struct twin___two"));
    EXPECT_TRUE(object.find({}, "certain")->program) << "the other program has no question";
}

// `y` is in one of two candidates; the size, asked for later, is that one's.
TEST_P(CoreTarget, ACandidateThatDoesNotFitDropsOut) {
    target::cousin___two cousin{.x = 1, .y = 200};
    EXPECT_EQ(run("narrowed", cousin), 200 + sizeof cousin);
}

TEST_P(CoreTarget, WithoutATargetTheObjectsOwnTypesAnswer) {
    object_ = read("core", nullptr);
    EXPECT_EQ(answer("green"), 5u);
    EXPECT_EQ(answer("gone_exists"), 1u);
    EXPECT_EQ(answer("nothing_exists"), 1u);
    EXPECT_EQ(answer("size_of_narrow"), 4u);
    EXPECT_TRUE(object_.find({}, "unguarded")->program->missing.empty());
}

INSTANTIATE_TEST_SUITE_P(All, CoreTarget, testing::Values("clang14", "clang19"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace ebpf::engine
