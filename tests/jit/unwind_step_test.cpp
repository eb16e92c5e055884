// SPDX-License-Identifier: MIT
//
// What .eh_frame says holds at every instruction and not only at calls, as profilers and debuggers
// need it: the program is run one instruction at a time, and from each of its instructions the
// unwinder must find the function that called it.
#include <gtest/gtest.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "isa/text/text.hpp"
#include "placed.hpp"
#include "spec/helpers.hpp"
#include "unwind_programs.hpp"

namespace ebpf::jit::test {
namespace {

const std::byte* text = nullptr;
std::size_t text_size = 0;
u64 instructions = 0, lost = 0;

u64 helper(u64 r1, u64 r2, u64, u64, u64, code::Invocation* invocation) {
    if (r1 < 16) return r2;
    return reinterpret_cast<code::HelperFn>(r1)(1, r2, 0, 0, 0, invocation);
}

[[gnu::noinline]] u64 run_in_steps(const Placed& program) {
    constexpr u64 kTrapFlag = 1 << 8;
    code::Invocation invocation;
    asm volatile("pushfq; orq %0, (%%rsp); popfq" ::"i"(kTrapFlag) : "memory", "cc");
    const u64 r0 = program.run(nullptr, 5, &invocation);
    asm volatile("pushfq; andq %0, (%%rsp); popfq" ::"i"(~kTrapFlag) : "memory", "cc");
    return r0;
}

_Unwind_Reason_Code visit(_Unwind_Context* context, void* found) {
    const auto function = reinterpret_cast<u64>(
        _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(_Unwind_GetIP(context) - 1)));
    if (function != reinterpret_cast<u64>(&run_in_steps)) return _URC_NO_REASON;
    *static_cast<bool*>(found) = true;
    return _URC_END_OF_STACK;
}

void on_step(int, siginfo_t*, void* context) {
    const auto* at = reinterpret_cast<const std::byte*>(
        static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
    if (at < text || at >= text + text_size) return;
    ++instructions;
    bool found = false;
    _Unwind_Backtrace(&visit, &found);
    if (!found) ++lost;
}

// A prog array whose one slot holds the program that is run.
struct {
    std::byte front[code::kProgramEntry] = {};
    const void* entry = nullptr;
} next;
struct {
    u64 count = 1;
    const void* slots[1] = {&next};
} array;

void step_through(const ir::Program& program, const ir::Facts& facts, const Options& options);

void step_through(std::string_view source, const Options& options = {}) {
    const auto slots = isa::text::assemble(source, isa::text::Dialect::Llvm);
    ASSERT_TRUE(slots);
    const auto program = ir::decode_program(*slots);
    ASSERT_TRUE(program);
    step_through(*program, {}, options);
}

void step_through(const ir::Program& program, const ir::Facts& facts, const Options& options) {
    const auto output = compile(program, facts, Target::host(), options);
    ASSERT_TRUE(output);
    const Placed placed(*output, Target::host().convention, [](const code::Relocation& r) {
        return r.kind == code::RelocKind::ObjectSlots64 ? reinterpret_cast<u64>(array.slots)
                                                        : reinterpret_cast<u64>(&helper);
    });
    next.entry = placed.at(placed.entry());
    text = static_cast<const std::byte*>(placed.at(0));
    text_size = output->unwind.offset;
    instructions = lost = 0;

    struct sigaction action{}, before{};
    action.sa_sigaction = &on_step;
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(sigaction(SIGTRAP, &action, &before), 0);
    run_in_steps(placed);
    sigaction(SIGTRAP, &before, nullptr);
    EXPECT_GT(instructions, 10u);
    EXPECT_EQ(lost, 0u) << "of " << instructions << " instructions";
}

constexpr char kRecursive[] =
    "r6 = r1\n"
    "r7 = r2\n"
    "if r7 > 8 goto +5\n"
    "r2 += 1\n"
    "call -5\n"
    "r0 += r6\n"
    "r0 += r7\n"
    "exit\n"
    "r1 = 1\n"
    "call 1\n"
    "exit\n";

TEST(UnwindSteps, Subprograms) {
    step_through(unwinding::kWaysOut);
}
TEST(UnwindSteps, CountedFrames) {
    step_through(kRecursive);
}
TEST(UnwindSteps, Callbacks) {
    step_through(unwinding::kCallback);
}
TEST(UnwindSteps, TailCalls) {
    const auto slots = isa::text::assemble(
        "r6 = 6\n*(u64 *)(r10 - 64) = r6\nr9 = 0\nr3 = 0\ncall " +
            std::to_string(static_cast<u32>(spec::Helper::tail_call)) + "\nr0 = r6\nexit\n",
        isa::text::Dialect::Llvm);
    ASSERT_TRUE(slots);
    auto program = ir::decode_program(*slots);
    ASSERT_TRUE(program);
    program->maps.resize(1);
    program->maps[0].type = spec::MapType::ProgArray;
    ir::Facts facts;
    facts.insns.assign(program->insns.size(), {.reachable = true});
    facts.insns[4].constant_map = 0;
    facts.stack_used = {64};
    facts.max_call_depth = 1;
    for (const bool safe : {false, true}) {
        step_through(*program, facts, {.safe_indirect_calls = safe});
        EXPECT_GT(instructions, code::kMaxTailCalls * 20) << "the program was not entered again";
    }
}
TEST(PerfMap, NamesTheCode) {
    const std::string path = "/tmp/perf-" + std::to_string(getpid()) + ".map";
    ASSERT_EQ(setenv("EBPF_PERF_MAP", "1", 1), 0);
    const auto pages = platform::CodePages::create(100);
    ASSERT_TRUE(pages);
    using Function = platform::CodePages::Function;
    const Function functions[] = {{"probe", "", 0, 60}, {"two\nlines", ".part", 60, 100}};
    const platform::CodePages::Functions names = {
        functions, 2,
        [](const void* self, std::size_t i) { return static_cast<const Function*>(self)[i]; }};
    pages->name_code(names);
    unsetenv("EBPF_PERF_MAP");
    pages->name_code(names);
    std::ifstream in(path);
    const auto expect = [&](u64 offset, const char* size, const char* name) {
        std::string start, its_size, its_name;
        EXPECT_TRUE(in >> start >> its_size >> its_name);
        EXPECT_EQ(std::stoull(start, nullptr, 16),
                  reinterpret_cast<u64>(pages->address()) + offset);
        EXPECT_EQ(its_size, size);
        EXPECT_EQ(its_name, name);
    };
    expect(0, "3c", "bpf_prog_probe");
    expect(60, "28", "bpf_prog_two_lines.part");
    std::string more;
    EXPECT_FALSE(in >> more);
    std::remove(path.c_str());
}

TEST(UnwindSteps, Guards) {
    step_through(unwinding::kWaysOut, {.metered = true, .cancellable = true});
}

}  // namespace
}  // namespace ebpf::jit::test
