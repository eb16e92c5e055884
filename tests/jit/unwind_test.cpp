// SPDX-License-Identifier: MIT
//
// Generated code as the system's own unwinder walks it: an exception that a helper throws goes
// through the program's frames to whoever called it, from everywhere that a helper can be called,
// and everything that the caller kept in registers is there again. On Linux by .eh_frame, on
// Windows (and so under Wine) by RUNTIME_FUNCTIONs.
#include <gtest/gtest.h>

#include "isa/text/text.hpp"
#include "placed.hpp"
#include "unwind_programs.hpp"

namespace ebpf::jit::test {
namespace {

using unwinding::kCallback;

struct Thrown {
    u64 value;
};

u64 helper(u64 r1, u64 r2, u64, u64, u64, code::Invocation* invocation) {
    if (r1 == 0) return r2;
    if (r1 == 1) throw Thrown{r2};
    // Calls back: r1 is the address of a subprogram.
    return reinterpret_cast<code::HelperFn>(r1)(1, r2, 0, 0, 0, invocation);
}

Placed place(std::string_view text, const Options& options = {}) {
    const auto slots = isa::text::assemble(text, isa::text::Dialect::Llvm);
    EXPECT_TRUE(slots) << text;
    const auto program = ir::decode_program(*slots);
    EXPECT_TRUE(program) << text;
    const Target target = Target::host();
    EXPECT_NE(target.unwind, UnwindFormat::None);
    const auto output = compile(*program, {}, target, options);
    EXPECT_TRUE(output);
    EXPECT_NE(output->unwind.size, 0u);
    return Placed(*output, target.convention,
                  [](const code::Relocation&) { return reinterpret_cast<u64>(&helper); });
}

// Runs the program with numbers of our own in registers that it must give back, which the exception
// comes back to.
[[gnu::noinline]] u64 run_and_catch(const Placed& program, u64 r1, u64 r2) {
    volatile u64 source = r2;
    u64 a = source + 1, b = source + 2, c = source + 3, d = source + 4, e = source + 5;
    asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
    const u32 cancel = 0;
    code::Invocation invocation;
    invocation.cancel = &cancel;
    try {
        const u64 r0 = program.run(reinterpret_cast<void*>(r1), r2, &invocation);
        asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
        EXPECT_EQ(a + b + c + d + e, 5 * r2 + 15);
        return r0;
    } catch (const Thrown& thrown) {
        asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
        EXPECT_EQ(a + b + c + d + e, 5 * r2 + 15);
        return ~thrown.value;
    }
}

void expect_throws(std::string_view text, u64 r1, const Options& options = {}) {
    const Placed program = place(text, options);
    for (int round = 0; round < 2; ++round) EXPECT_EQ(run_and_catch(program, r1, 77), ~u64{77});
}

constexpr char kDirect[] =
    "r6 = 10\n"
    "r7 = 11\n"
    "r8 = 12\n"
    "r9 = 13\n"
    "*(u64 *)(r10 - 8) = r6\n"
    "call 1\n"
    "r0 += r6\n"
    "exit\n";
// r6 to r9 in each of two frames, the inner one with a stack of its own.
constexpr char kNested[] =
    "r6 = 1\n"
    "r9 = 2\n"
    "call +2\n"
    "r0 += r9\n"
    "exit\n"
    "r7 = r1\n"
    "r8 = r2\n"
    "*(u64 *)(r10 - 256) = r8\n"
    "call 1\n"
    "r0 += r7\n"
    "exit\n";

// Calls itself: frames are counted at run time.
constexpr char kRecursive[] =
    "r6 = r1\n"
    "r7 = r2\n"
    "if r7 > 80 goto +5\n"
    "r2 += 1\n"
    "call -5\n"
    "r0 += r6\n"
    "r0 += r7\n"
    "exit\n"
    "r1 = 1\n"
    "r2 = 77\n"
    "call 1\n"
    "exit\n";

TEST(Unwind, ThroughAProgram) {
    expect_throws(kDirect, 1);
}
TEST(Unwind, ThroughSubprograms) {
    expect_throws(kNested, 1);
}
TEST(Unwind, ThroughCountedFrames) {
    expect_throws(kRecursive, 1);
}
TEST(Unwind, ThroughACallback) {
    expect_throws(kCallback, 1);
}
TEST(Unwind, WithEveryGuard) {
    const Options options{.metered = true,
                          .cancellable = true,
                          .blind_constants = true,
                          .blinding_seed = 5,
                          .safe_indirect_calls = true};
    for (const char* text : {kDirect, kNested, kRecursive, kCallback})
        expect_throws(text, 1, options);
}

TEST(Unwind, WithoutAnExceptionNothingChanges) {
    EXPECT_EQ(run_and_catch(place(kDirect), 0, 5), 15u);
    EXPECT_EQ(run_and_catch(place(kNested), 0, 5), 7u);
}

// By way of an embedder's plain function, which has a table of its own.
TEST(Unwind, ThroughAnEntryThunk) {
    const Placed program = place(kNested);
    const Target target = Target::host();
    const auto thunk = entry_thunk({}, program.at(program.entry()), target);
    ASSERT_TRUE(thunk);
    ASSERT_NE(thunk->unwind.size, 0u);
    const Placed placed({.cpu = code::Cpu::X86_64, .text = thunk->text, .unwind = thunk->unwind},
                        target.convention);
    EXPECT_EQ(run_and_catch(placed, 1, 5), ~u64{5});
    EXPECT_EQ(run_and_catch(placed, 0, 5), 7u);
}

}  // namespace
}  // namespace ebpf::jit::test
