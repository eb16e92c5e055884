// SPDX-License-Identifier: MIT
//
// Programs that get pointers to structures of a kernel, whose types are written here by hand: what
// they may read, and twins that differ by one mistake.
#include "../btf/builder.hpp"
#include "btf/access.hpp"
#include "engine/environment.hpp"
#include "fixture.hpp"

namespace ebpf::verifier {
namespace {

using btf::Kind;

// struct mm_struct { u64 total; };
// struct task_struct {
//     u32 pid;                                 //  0
//     u32 flags : 3, more : 5;                 //  4
//     struct task_struct *parent;              //  8
//     char comm[16];                           // 16
//     struct { u32 a; u32 b; struct mm_struct *mm; } in[2];   // 32, 48
//     char __user *stack;                      // 64
//     u8 tail[];                               // 72
// };
// void trace_switch(void *data, bool preempt, struct task_struct *task);
// struct mm_struct *get_mm(struct task_struct *task, u32 how, char *name);
std::vector<std::byte> kernel() {
    btf::Builder b;
    const u32 u8_type = b.integer("u8", 1, false), u32_type = b.integer("u32", 4, false),
              u64_type = b.integer("u64", 8, false);
    const u32 mm = b.add("mm_struct", Kind::Struct, 1, 8, {b.string("total"), u64_type, 0});
    const u32 mm_pointer = b.add("", Kind::Ptr, 0, mm);
    const u32 name = b.add("", Kind::Array, 0, 0, {u8_type, u32_type, 16});
    const u32 inner = b.add(
        "", Kind::Struct, 3, 16,
        {b.string("a"), u32_type, 0, b.string("b"), u32_type, 32, b.string("mm"), mm_pointer, 64});
    const u32 two = b.add("", Kind::Array, 0, 0, {inner, u32_type, 2});
    const u32 tag = b.add("user", Kind::TypeTag, 0, u8_type);
    const u32 user_pointer = b.add("", Kind::Ptr, 0, tag);
    const u32 open = b.add("", Kind::Array, 0, 0, {u8_type, u32_type, 0});
    const u32 task = user_pointer + 2;  // the next but one
    const u32 task_pointer = task + 1;
    EXPECT_EQ(open, task - 1);
    b.add("task_struct", Kind::Struct, 8, 72, {b.string("pid"),    u32_type,     0,              //
                                               b.string("flags"),  u32_type,     3u << 24 | 32,  //
                                               b.string("more"),   u32_type,     5u << 24 | 35,  //
                                               b.string("parent"), task_pointer, 64,             //
                                               b.string("comm"),   name,         128,            //
                                               b.string("in"),     two,          256,            //
                                               b.string("stack"),  user_pointer, 512,            //
                                               b.string("tail"),   open,         576},
          true);
    EXPECT_EQ(b.add("", Kind::Ptr, 0, task), task_pointer);
    const u32 nothing = b.add("", Kind::Ptr, 0, 0);
    const u32 prototype =
        b.add("", Kind::FuncProto, 3, 0, {0, nothing, 0, u8_type, 0, task_pointer});
    const u32 function = b.add("", Kind::Ptr, 0, prototype);
    b.add("btf_trace_switch", Kind::Typedef, 0, function);
    const u32 text = b.add("", Kind::Ptr, 0, u8_type);
    const u32 get =
        b.add("", Kind::FuncProto, 3, mm_pointer,
              {b.string("task"), task_pointer, b.string("how"), u32_type, b.string("name"), text});
    b.add("get_mm", Kind::Func, 1, get);
    return b.bytes();
}

Report trace(std::string_view text, const char* section, spec::AttachType attach) {
    const auto types = btf::Types::parse(kernel());
    if (!types) {
        ADD_FAILURE() << message(types.error().code);
        return {};
    }
    ir::Program program = make_program(text);
    program.section = section;
    program.type = spec::ProgramType::Tracing;
    program.attach = attach;
    const auto environment = engine::environment_of(program, types->get());
    if (!environment) {
        ADD_FAILURE() << message(environment.error().code);
        return {};
    }
    return analyze(program, *environment, {});
}

struct Case {
    const char* name;
    const char* expected;
    const char* text;
    const char* section = "tp_btf/switch";
    spec::AttachType attach = spec::AttachType::TraceRawTp;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.name;
}

class Typed : public testing::TestWithParam<Case> {};

TEST_P(Typed, Verdict) {
    const Case& c = GetParam();
    const std::string text = std::string(c.text) + "r0 = 0\nexit\n";
    const Report report = trace(text, c.section, c.attach);
    EXPECT_EQ(outcome(report), c.expected) << explain(report) << "\n" << text;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
    return info.param.name;
}

#define TYPED(group, ...)                                                                     \
    INSTANTIATE_TEST_SUITE_P(group, Typed, testing::ValuesIn(std::vector<Case>{__VA_ARGS__}), \
                             case_name)

// The task is the second argument of the tracepoint: its first parameter is not the program's.
TYPED(Reads, {"number", "accept", "r1 = *(u64 *)(r1 + 8)\nw2 = *(u32 *)(r1 + 0)\n"},
      {"chain", "accept",
       "r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + 40)\n"
       "r2 = *(u64 *)(r1 + 0)\n"},
      {"element_of_an_array_of_structures", "accept",
       "r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + 56)\nr2 = *(u64 *)(r1 + 0)\n"},
      {"moved_pointer", "accept",
       "r1 = *(u64 *)(r1 + 8)\nr1 += 32\nr1 = *(u64 *)(r1 + 8)\nr2 = *(u64 *)(r1 + 0)\n"},
      {"bit_field", "accept", "r1 = *(u64 *)(r1 + 8)\nw2 = *(u8 *)(r1 + 4)\n"},
      {"several_elements", "accept", "r1 = *(u64 *)(r1 + 8)\nr2 = *(u64 *)(r1 + 16)\n"},
      {"open_array", "accept", "r1 = *(u64 *)(r1 + 8)\nw2 = *(u8 *)(r1 + 4000)\n"},
      {"null_test_of_a_field", "accept",
       "r1 = *(u64 *)(r1 + 8)\nr2 = *(u64 *)(r1 + 8)\nif r2 == 0 goto +1\n"
       "w2 = *(u32 *)(r2 + 0)\n"},
      {"null_on_the_other_path", "bad-address",
       "r1 = *(u64 *)(r1 + 8)\nr2 = *(u64 *)(r1 + 8)\nif r2 != 0 goto +1\n"
       "w2 = *(u32 *)(r2 + 0)\n"},
      {"spilled", "accept",
       "r1 = *(u64 *)(r1 + 8)\n*(u64 *)(r10 - 8) = r1\nr3 = *(u64 *)(r10 - 8)\n"
       "r2 = *(u64 *)(r3 + 8)\nw2 = *(u32 *)(r2 + 0)\n"},
      {"before", "bad-address", "r1 = *(u64 *)(r1 + 8)\nr2 = *(u64 *)(r1 - 8)\n"},
      {"beyond", "bad-address",
       "r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + 40)\nr2 = *(u64 *)(r1 + 8)\n"},
      {"two_members", "bad-address", "r1 = *(u64 *)(r1 + 8)\nr2 = *(u64 *)(r1 + 36)\n"},
      {"part_of_a_pointer", "bad-address", "r1 = *(u64 *)(r1 + 8)\nw2 = *(u32 *)(r1 + 8)\n"},
      {"number_as_pointer", "bad-address",
       "r1 = *(u64 *)(r1 + 8)\nw1 = *(u32 *)(r1 + 0)\nr2 = *(u64 *)(r1 + 0)\n"},
      {"user_pointer", "bad-address",
       "r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + 64)\nw2 = *(u8 *)(r1 + 0)\n"},
      {"variable_offset", "bad-address",
       "r1 = *(u64 *)(r1 + 8)\nw2 = *(u32 *)(r1 + 0)\nr2 &= 7\nr1 += r2\nw2 = *(u8 *)(r1 + 16)\n"},
      {"write", "bad-address", "r1 = *(u64 *)(r1 + 8)\n*(u32 *)(r1 + 0) = 1\n"},
      {"atomic", "bad-address", "r1 = *(u64 *)(r1 + 8)\nw2 = 1\nlock *(u32 *)(r1 + 0) += w2\n"});

TYPED(Arguments, {"a_third_argument", "context-bounds", "r1 = *(u64 *)(r1 + 16)\n"},
      {"pointer_in_halves", "context-access", "w1 = *(u32 *)(r1 + 8)\n"},
      {"number_in_part", "accept", "w2 = *(u8 *)(r1 + 0)\n"},
      {"fentry", "accept", "r1 = *(u64 *)(r1 + 0)\nw2 = *(u32 *)(r1 + 0)\n", "fentry/get_mm",
       spec::AttachType::TraceFentry},
      {"string_is_a_number", "bad-address", "r1 = *(u64 *)(r1 + 16)\nw2 = *(u8 *)(r1 + 0)\n",
       "fentry/get_mm", spec::AttachType::TraceFentry},
      {"no_result_at_entry", "context-bounds", "r1 = *(u64 *)(r1 + 24)\n", "fentry/get_mm",
       spec::AttachType::TraceFentry},
      {"result_at_exit", "accept", "r1 = *(u64 *)(r1 + 24)\nr2 = *(u64 *)(r1 + 0)\n",
       "fexit/get_mm", spec::AttachType::TraceFexit});

// bpf_get_current_task_btf() gives a task; bpf_task_pt_regs() takes one.
TYPED(Helpers, {"current_task", "accept", "call 158\nw2 = *(u32 *)(r0 + 0)\n"},
      {"task_as_argument", "unsupported", "call 158\nr1 = r0\ncall 175\n"},  // no pt_regs here
      {"copied_from", "accept",
       "call 158\nr3 = r0\nr3 += 16\nr1 = r10\nr1 += -16\nw2 = 16\ncall 113\n"},
      {"other_structure", "helper-argument",
       "r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + 40)\ncall 175\n"},
      {"moved_task", "helper-argument", "call 158\nr1 = r0\nr1 += 16\ncall 175\n"},
      {"as_a_buffer", "unsupported",
       "r3 = *(u64 *)(r1 + 8)\nr3 += 16\nw1 = 9\nld_pseudo r1, 5, 3\nr2 = r3\nw3 = 8\nw4 = 0\n"
       "call 130\n"});

TEST(Typed, UnknownFunctionsAreUnsupported) {
    const auto types = btf::Types::parse(kernel());
    ASSERT_TRUE(types);
    ir::Program program = make_program("r0 = 0\nexit\n");
    program.section = "fentry/not_there";
    program.type = spec::ProgramType::Tracing;
    program.attach = spec::AttachType::TraceFentry;
    const auto environment = engine::environment_of(program, types->get());
    ASSERT_FALSE(environment);
    EXPECT_EQ(environment.error().code, Errc::Unsupported);
}

}  // namespace
}  // namespace ebpf::verifier
