// SPDX-License-Identifier: MIT
// Jumps near and far, calls, frames, callbacks and tail calls, in both calling conventions.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <thread>

#include "isa/semantics.hpp"
#include "spec/helpers.hpp"
#include "support.hpp"

namespace ebpf::jit::test {
namespace {

using isa::WideKind;

class Control : public testing::TestWithParam<Target> {
  protected:
    u64 run(const Insns& insns, void* r1 = nullptr, u64 r2 = 0) const {
        return test::run(insns, r1, r2, GetParam());
    }
    bool on_windows() const { return GetParam().convention == CallingConvention::WindowsX64; }
};

constexpr Cond kConds[] = {Cond::Eq,  Cond::Ne,  Cond::Gt,  Cond::Ge,  Cond::Lt, Cond::Le,
                           Cond::SGt, Cond::SGe, Cond::SLt, Cond::SLe, Cond::Set};

TEST_P(Control, Conditions) {
    const u64 values[] = {0,
                          1,
                          2,
                          0x7FFF'FFFF,
                          0x8000'0000,
                          0xFFFF'FFFF,
                          0x1'0000'0000,
                          0x1'0000'0001,
                          u64{1} << 63,
                          ~u64{0},
                          ~u64{0} - 1,
                          0xFFFF'FFFF'8000'0000,
                          0x8000'0000'0000'0001};
    const i32 immediates[] = {0, 1, -1, 2, 127, 128, -128, -129, INT32_MAX, INT32_MIN, 0x1000};
    for (const Cond cond : kConds) {
        for (const Width w : {Width::W32, Width::W64}) {
            const Insns insns{mov(3, 1), mov_imm(0, 1), jump(cond, w, 3, 2, 1), mov_imm(0, 0),
                              exit()};
            const Output output = compiled(link(insns), GetParam());
            const Placed code(output, GetParam().convention);
            for (const u64 a : values) {
                for (const u64 b : values) {
                    ASSERT_EQ(code.run(reinterpret_cast<void*>(a), b),
                              isa::eval_cond(cond, w, a, b) ? 1u : 0u)
                        << static_cast<int>(cond) << " " << isa::bits(w) << " " << a << " " << b;
                }
            }
            for (const i32 imm : immediates) {
                const Insns by_imm{mov_imm(0, 1), jump_imm(cond, w, 1, imm, 1), mov_imm(0, 0),
                                   exit()};
                const Output imm_output = compiled(link(by_imm), GetParam());
                const Placed imm_code(imm_output, GetParam().convention);
                for (const u64 a : values) {
                    ASSERT_EQ(imm_code.run(reinterpret_cast<void*>(a)),
                              isa::eval_cond(cond, w, a, static_cast<u64>(i64{imm})) ? 1u : 0u)
                        << static_cast<int>(cond) << " " << isa::bits(w) << " " << a << " " << imm;
                }
            }
        }
    }
}

TEST_P(Control, EntryArguments) {
    EXPECT_EQ(run({mov(0, 1), exit()}, reinterpret_cast<void*>(0x1234'5678'9ABC)),
              0x1234'5678'9ABCu);
    EXPECT_EQ(run({mov(0, 2), exit()}, nullptr, 0xFEDC'BA98'7654'3210), 0xFEDC'BA98'7654'3210u);
}

// Code of every size around where a jump's two-byte form ends, forwards and backwards.
TEST_P(Control, ShortAndLongJumps) {
    for (int filler = 0; filler < 140; ++filler) {
        // A 32-bit mov takes two bytes, one of r7 three.
        for (const int odd : {0, 1}) {
            Insns pad;
            if (odd) pad.push_back(alu(AluOp::Mov, Width::W32, 7, 7));
            for (int i = 0; i < filler; ++i) pad.push_back(alu(AluOp::Mov, Width::W32, 3, 3));
            const i16 n = static_cast<i16>(pad.size());
            const Insns forwards = Insns{mov_imm(0, 1), jump_imm(Cond::Eq, Width::W64, 2, 7, n)} +
                                   pad + Insns{alu_imm(AluOp::Add, Width::W64, 0, 1), exit()};
            ASSERT_EQ(run(forwards, nullptr, 7), 2u) << filler;
            // Two rounds of a loop around the filler.
            const Insns backwards =
                Insns{mov_imm(0, 0), alu_imm(AluOp::Add, Width::W64, 0, 1)} + pad +
                Insns{jump_imm(Cond::Ne, Width::W64, 0, 2, static_cast<i16>(-n - 2)), exit()};
            ASSERT_EQ(run(backwards), 2u) << filler;
        }
    }
}

// A ladder of jumps in which each one's size depends on those that it spans.
TEST_P(Control, JumpsOverJumps) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; ++round) {
        const int n = 20 + static_cast<int>(random() % 200);
        Insns insns{mov_imm(0, 0)};
        std::vector<int> target(static_cast<std::size_t>(n));
        for (int i = 0; i < n; ++i) {
            const int reach = std::min(n - i - 1, 90);
            const int skip =
                reach > 0 ? static_cast<int>(random() % static_cast<u64>(reach + 1)) : 0;
            target[static_cast<std::size_t>(i)] = i + 1 + skip;
            // Both lead on: one adds before it jumps.
            insns.push_back(alu_imm(AluOp::Add, Width::W64, 0, i + 1));
            insns.push_back(jump_imm(Cond::Ne, Width::W64, 0, -1, static_cast<i16>(2 * skip)));
        }
        insns.push_back(exit());
        u64 expected = 0;
        for (int i = 0; i < n; i = target[static_cast<std::size_t>(i)])
            expected += static_cast<u64>(i) + 1;
        ASSERT_EQ(run(insns), expected);
    }
}

TEST_P(Control, JumpOverMoreThan32KiB) {
    Insns far{mov_imm(0, 0), jump_imm(Cond::Ne, Width::W64, 0, 0, 30'000)};
    for (int i = 0; i < 15'000; ++i) {
        far.push_back(alu_imm(AluOp::Add, Width::W64, 0, 1));
        far.push_back(alu_imm(AluOp::Xor, Width::W64, 0, 0));
    }
    // Back to the beginning, by the 32-bit form, until r0 is not 0.
    far.push_back(jump_imm(Cond::Eq, Width::W64, 0, 15'000, 2));
    far.push_back(mov_imm(0, 0));
    far.push_back(exit());
    far.push_back(mov_imm(0, 77));
    far.push_back(ja(-30'005));  // to the first jump, which now is taken
    const Output output = compiled(link(far), GetParam());
    EXPECT_GT(output.text.size(), 90'000u);
    EXPECT_EQ(Placed(output, GetParam().convention).run(nullptr), 0u);
}

TEST_P(Control, LoopToTheFirstInstruction) {
    // r2 counts down; r0 is not kept over the jump by anything but its register.
    EXPECT_EQ(run({alu_imm(AluOp::Sub, Width::W64, 2, 1), jump_imm(Cond::Ne, Width::W64, 2, 0, -2),
                   store_imm(Width::W64, 10, -512, 5), load(Width::W64, 0, 10, -512), exit()},
                  nullptr, 1000),
              5u);
}

// Everything that the compiler allocates and walks is linear: ten times the program, about ten
// times the time. The bound is loose; a quadratic algorithm would need a hundred times.
TEST_P(Control, TimeIsLinear) {
    const auto program = [](int n) {
        Insns insns{mov_imm(0, 0)};
        for (int i = 0; i < n / 4; ++i) {
            insns.push_back(alu(AluOp::Mov, Width::W64, 3, 0));
            insns.push_back(jump_imm(Cond::Eq, Width::W64, 0, i + 1, i % 7 == 0 ? i16{1} : i16{0}));
            insns.push_back(alu_imm(AluOp::Add, Width::W64, 3, 1));
            insns.push_back(store(Width::W64, 10, -8, 3));
        }
        insns.push_back(exit());
        return link(insns);
    };
    const auto seconds = [&](const ir::Program& p) {
        double best = 1e9;
        for (int i = 0; i < 3; ++i) {
            const std::clock_t start = std::clock();  // of the processor, not of the wall
            (void)compiled(p, GetParam());
            best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
        }
        return best;
    };
    const ir::Program small = program(10'000), large = program(100'000);
    EXPECT_LT(seconds(large), 40 * seconds(small));
}

// --- local calls ---------------------------------------------------------------------------------

// r6 to r9 survive a callee that overwrites them, and so does a caller's frame.
TEST_P(Control, CalleeKeepsRegistersAndFrame) {
    Insns caller;
    for (Reg r = 6; r < 10; ++r) caller.push_back(mov_imm(r, 100 + r));
    for (i16 off = -512; off < 0; off = static_cast<i16>(off + 8))
        caller.push_back(store_imm(Width::W64, 10, off, off));
    caller.push_back(mov(6, 2));
    Insns check;
    // r0 += every slot and register that the callee must not have touched.
    for (i16 off = -512; off < 0; off = static_cast<i16>(off + 8)) {
        check.push_back(load(Width::W64, 1, 10, off));
        check.push_back(alu(AluOp::Add, Width::W64, 0, 1));
    }
    for (Reg r = 6; r < 10; ++r) check.push_back(alu(AluOp::Add, Width::W64, 0, r));
    check.push_back(exit());
    Insns callee;
    for (Reg r = 6; r < 10; ++r) callee.push_back(mov_imm(r, -1));
    for (i16 off = -512; off < 0; off = static_cast<i16>(off + 8))
        callee.push_back(store_imm(Width::W64, 10, off, -1));
    callee.push_back(mov_imm(0, 1'000'000));
    callee.push_back(exit());
    const Insns all = caller + Insns{call_local(static_cast<i32>(check.size()))} + check + callee;
    u64 expected = 1'000'000 + 42 + 107 + 108 + 109;
    for (int off = -512; off < 0; off += 8) expected += static_cast<u64>(i64{off});
    EXPECT_EQ(run(all, nullptr, 42), expected);
}

TEST_P(Control, ArgumentsReachLocalCalls) {
    EXPECT_EQ(run({mov_imm(1, 1), mov_imm(2, 20), mov_imm(3, 300), mov_imm(4, 4000),
                   mov_imm(5, 50'000), call_local(1), exit(),  //
                   mov(0, 1), alu(AluOp::Add, Width::W64, 0, 2), alu(AluOp::Add, Width::W64, 0, 3),
                   alu(AluOp::Add, Width::W64, 0, 4), alu(AluOp::Add, Width::W64, 0, 5), exit()}),
              54'321u);
}

// A callee reaches the caller's frame through a pointer, and its own does not overlap.
TEST_P(Control, PointersIntoTheCallersFrame) {
    EXPECT_EQ(
        run({store_imm(Width::W64, 10, -8, 5), mov(1, 10), alu_imm(AluOp::Add, Width::W64, 1, -8),
             call_local(2), load(Width::W64, 0, 10, -8), exit(),  //
             store_imm(Width::W64, 10, -8, 1000), load(Width::W64, 2, 1, 0),
             alu_imm(AluOp::Add, Width::W64, 2, 2), store(Width::W64, 1, 0, 2), mov_imm(0, 0),
             exit()}),
        7u);
}

// How the run ends that has `r2` at entry.
code::Fault fault_of(const Output& output, CallingConvention convention, u64 r2) {
    code::Invocation invocation;
    Placed(output, convention).run(nullptr, r2, &invocation);
    return static_cast<code::Fault>(invocation.fault);
}

// f(n) = n == 0 ? 0 : n + f(n - 1) of r2, with n kept on the stack.
const Insns kSumDown{mov(1, 2),
                     call_local(1),
                     exit(),  //
                     mov_imm(0, 0),
                     jump_imm(Cond::Eq, Width::W64, 1, 0, 5),
                     store(Width::W64, 10, -8, 1),
                     alu_imm(AluOp::Sub, Width::W64, 1, 1),
                     call_local(-5),
                     load(Width::W64, 1, 10, -8),
                     alu(AluOp::Add, Width::W64, 0, 1),
                     exit()};

Insns chain(int frames) {
    Insns all;
    for (int i = 1; i < frames; ++i) {
        all = std::move(all) + Insns{store_imm(Width::W64, 10, -512, i), call_local(3),
                                     load(Width::W64, 1, 10, -512),
                                     alu(AluOp::Add, Width::W64, 0, 1), exit()};
    }
    return std::move(all) + Insns{mov_imm(0, 1000), exit()};
}

TEST_P(Control, EightFramesAndNoMore) {
    EXPECT_EQ(run(chain(8)), 1028u);
    const Output output = compiled(link(chain(8)), GetParam());
    EXPECT_GE(output.stack_bytes, 7 * 512u);
    EXPECT_LE(output.stack_bytes, 8 * 700u);
    const Output nine = compiled(link(chain(9)), GetParam());
    EXPECT_LE(nine.stack_bytes, 9 * 700u);
    EXPECT_EQ(fault_of(nine, GetParam().convention, 0), code::Fault::CallTooDeep);
}

// Where nothing bounds the depth, frames are counted at run time.
TEST_P(Control, EndlessRecursionEnds) {
    for (const Insns& insns :
         {Insns{call_local(1), exit(), call_local(-1), exit()}, Insns{call_local(-1), exit()},
          Insns{call_local(1), exit(), call_local(-3), exit()}}) {
        EXPECT_EQ(fault_of(compiled(link(insns), GetParam()), GetParam().convention, 0),
                  code::Fault::CallTooDeep);
    }
}

TEST_P(Control, RecursionToTheLimit) {
    const Output output = compiled(link(kSumDown), GetParam());
    EXPECT_EQ(fault_of(output, GetParam().convention, 6), code::Fault::None);
    EXPECT_EQ(fault_of(output, GetParam().convention, 7), code::Fault::CallTooDeep);
    // The invoker's count comes back, whichever way the program ends.
    code::Invocation invocation{.frames = 3};
    EXPECT_EQ(Placed(output, GetParam().convention).run(nullptr, 6, &invocation), 21u);
    EXPECT_EQ(invocation.frames, 3u);
    Placed(output, GetParam().convention).run(nullptr, 20, &invocation);
    EXPECT_EQ(invocation.frames, 3u);
}

// r1 and r2 as at any entry, also where the program calls that again.
TEST_P(Control, TheEntryCanBeCalled) {
    const Output output =
        compiled(link({mov(0, 2), jump_imm(Cond::Eq, Width::W64, 2, 0, 5), mov(6, 2),
                       alu_imm(AluOp::Sub, Width::W64, 2, 1), call_local(-5),
                       alu(AluOp::Add, Width::W64, 0, 6), ja(0), exit()}),
                 GetParam());
    code::Invocation invocation;
    EXPECT_EQ(Placed(output, GetParam().convention).run(nullptr, 7, &invocation), 28u);
    EXPECT_EQ(invocation.fault, 0u);
    EXPECT_EQ(fault_of(output, GetParam().convention, 8), code::Fault::CallTooDeep);
}

// A proof that counted the frames makes a circle of calls a loop like any other.
TEST_P(Control, RecursionThatIsProvenToEnd) {
    ir::Facts facts{.max_call_depth = 8};
    const Output output = compiled(link(kSumDown), GetParam(), facts);
    EXPECT_GE(output.stack_bytes, 8 * 512u);
    EXPECT_EQ(Placed(output, GetParam().convention).run(nullptr, 6), 21u);
}

// One budget for the run's functions; a jump to the next instruction is counted, too.
TEST_P(Control, MayGotoIsCounted) {
    const Insn to_next{.form = isa::Form::MayGoto};
    Insn out = to_next;
    out.off = 2;
    const Insns insns{mov_imm(0, 0),
                      call_local(2),
                      call_local(1),
                      exit(),
                      to_next,
                      out,
                      alu_imm(AluOp::Add, Width::W64, 0, 1),
                      ja(-4),
                      exit()};
    for (const Options& options : {Options{}, Options{.metered = true}}) {
        const auto output = compile(link(insns), {}, GetParam(), options);
        ASSERT_TRUE(output);
        const Placed placed(*output, GetParam().convention);
        code::Invocation invocation{.fuel = 1000, .may_goto = 20};
        EXPECT_EQ(placed.run(nullptr, 0, &invocation), 10u);
        EXPECT_EQ(invocation.fault, 0u);
        EXPECT_EQ(invocation.may_goto, 0u);
    }
}

// --- limits --------------------------------------------------------------------------------------

// A block is paid for as a whole: here 1, then 3 a round, then 1.
TEST_P(Control, FuelIsCounted) {
    const Insns insns{mov_imm(0, 0), alu_imm(AluOp::Add, Width::W64, 0, 1),
                      alu_imm(AluOp::Sub, Width::W64, 2, 1),
                      jump_imm(Cond::Ne, Width::W64, 2, 0, -3), exit()};
    const auto output = compile(link(insns), {}, GetParam(), {.metered = true});
    ASSERT_TRUE(output);
    const Placed placed(*output, GetParam().convention);
    code::Invocation enough{.fuel = 32};
    EXPECT_EQ(placed.run(nullptr, 10, &enough), 10u);
    EXPECT_EQ(enough.fault, 0u);
    EXPECT_EQ(enough.fuel, 0u);
    code::Invocation short_of_one{.fuel = 31};
    EXPECT_EQ(placed.run(nullptr, 10, &short_of_one), 0u);
    EXPECT_EQ(static_cast<code::Fault>(short_of_one.fault), code::Fault::OutOfFuel);
    EXPECT_EQ(short_of_one.fuel, 0u);
}

TEST_P(Control, FuelEndsCallersToo) {
    const auto output = compile(link({call_local(2), mov_imm(0, 5), exit(), ja(-1), exit()}), {},
                                GetParam(), {.metered = true});
    ASSERT_TRUE(output);
    code::Invocation invocation{.fuel = 1000};
    EXPECT_EQ(Placed(*output, GetParam().convention).run(nullptr, 0, &invocation), 0u);
    EXPECT_EQ(static_cast<code::Fault>(invocation.fault), code::Fault::OutOfFuel);
}

TEST_P(Control, AnotherThreadCancels) {
    const auto output =
        compile(link({mov_imm(0, 1), ja(-1), exit()}), {}, GetParam(), {.cancellable = true});
    ASSERT_TRUE(output);
    const Placed placed(*output, GetParam().convention);
    u32 cancel = 0;
    code::Invocation invocation{.cancel = &cancel};
    std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
    });
    placed.run(nullptr, 0, &invocation);
    other.join();
    EXPECT_EQ(static_cast<code::Fault>(invocation.fault), code::Fault::Cancelled);
}

// --- hardening -----------------------------------------------------------------------------------

// No four bytes in a row of any constant stand in the code.
TEST_P(Control, BlindedConstantsAreNotInTheCode) {
    const u64 kSecret = 0x1122'3344'5566'7788;
    const i32 kHalf = 0x5A6B'7C8D;
    const Insns insns{wide(isa::WideKind::Imm64, 0, kSecret),
                      alu_imm(AluOp::Add, Width::W64, 0, kHalf),
                      alu_imm(AluOp::Mul, Width::W32, 0, kHalf),
                      alu_imm(AluOp::Div, Width::W64, 0, kHalf),
                      alu_imm(AluOp::Mov, Width::W32, 3, kHalf),
                      alu_imm(AluOp::Mov, Width::W64, 4, kHalf),
                      store_imm(Width::W32, 10, -8, kHalf),
                      jump_imm(Cond::Eq, Width::W64, 0, kHalf, 0),
                      jump_imm(Cond::Set, Width::W32, 0, kHalf, 1),
                      alu_imm(AluOp::Xor, Width::W64, 0, kHalf),
                      exit()};
    const auto holds = [](const Output& output) {
        const std::string text(reinterpret_cast<const char*>(output.text.data()),
                               output.text.size());
        return text.find("\x88\x77\x66\x55") != text.npos ||
               text.find("\x44\x33\x22\x11") != text.npos ||
               text.find("\x8D\x7C\x6B\x5A") != text.npos;
    };
    EXPECT_TRUE(holds(compiled(link(insns), GetParam())));
    const u64 expected = run(insns);
    for (const u64 seed : {u64{1}, u64{2}, ~u64{0}}) {
        const auto output =
            compile(link(insns), {}, GetParam(), {.blind_constants = true, .blinding_seed = seed});
        ASSERT_TRUE(output);
        EXPECT_FALSE(holds(*output));
        EXPECT_EQ(Placed(*output, GetParam().convention).run(nullptr), expected);
    }
}

// Every call but those of the program's own functions goes through the one thunk.
TEST_P(Control, SafeIndirectCalls) {
    const auto output =
        compile(link({call_helper(code::kCustomHelper | 1), call_helper(6), exit()}), {},
                GetParam(), {.safe_indirect_calls = true});
    ASSERT_TRUE(output);
    const std::string text = disassemble(*output);
    EXPECT_EQ(text.find("jmp rax"), text.npos) << text;
    EXPECT_NE(text.find("lfence"), text.npos) << text;
    EXPECT_NE(disassemble(compiled(link({call_helper(6), exit()}), GetParam())).find("jmp rax"),
              text.npos);
}

// --- helpers -------------------------------------------------------------------------------------

struct Seen {
    u64 args[5];
    code::Invocation* invocation;
    u64 misalignment;
    u64 result;
};

u64 note(u64 a, u64 b, u64 c, u64 d, u64 e, code::Invocation* invocation) {
    Seen& seen = *static_cast<Seen*>(invocation->runtime);
    // The frame's own address tells how rsp stood at the call.
    seen = {{a, b, c, d, e},
            invocation,
            reinterpret_cast<u64>(__builtin_frame_address(0)) % 16,
            seen.result};
    return seen.result;
}
u64 note_system_v(u64 a, u64 b, u64 c, u64 d, u64 e, code::Invocation* i) {
    return note(a, b, c, d, e, i);
}
__attribute__((ms_abi)) u64 note_windows(u64 a, u64 b, u64 c, u64 d, u64 e, code::Invocation* i) {
    const u64 result = note(a, b, c, d, e, i);
    // What a callee may do: use its home area, which is the caller's to provide.
    u64* home = reinterpret_cast<u64*>(static_cast<char*>(__builtin_frame_address(0)) + 16);
    for (int k = 0; k < 4; ++k) home[k] = ~u64{0};
    return result;
}

Placed::Resolve helper_for(const Target& target) {
    return [&target](const code::Relocation& r) {
        EXPECT_TRUE(r.kind == code::RelocKind::Helper64 || r.kind == code::RelocKind::HelperNear32);
        return target.convention == CallingConvention::WindowsX64
                   ? reinterpret_cast<u64>(note_windows)
                   : reinterpret_cast<u64>(note_system_v);
    };
}

TEST_P(Control, HelperArgumentsAndAlignment) {
    // Frames of different sizes, from no saved register to all of them.
    for (int saved = 0; saved <= 4; ++saved) {
        for (const bool frame : {false, true}) {
            for (const bool nested : {false, true}) {
                Insns body;
                for (int r = 0; r < saved; ++r) body.push_back(mov_imm(static_cast<Reg>(6 + r), r));
                if (frame) body.push_back(store_imm(Width::W64, 10, -8, 99));
                for (Reg r = 1; r <= 5; ++r)
                    body.push_back(wide(WideKind::Imm64, r, 0x1111'1111'1111'1111 * r));
                body.push_back(call_helper(1234));
                if (frame) {
                    body.push_back(load(Width::W64, 1, 10, -8));
                    body.push_back(alu(AluOp::Add, Width::W64, 0, 1));
                }
                body.push_back(exit());
                const Insns all = nested ? Insns{call_local(1), exit()} + body : body;
                const Output output = compiled(link(all), GetParam());
                ASSERT_EQ(output.relocations.size(), 2u);
                EXPECT_EQ(output.relocations[0].index, 1234u);
                const Placed code(output, GetParam().convention, helper_for(GetParam()));
                Seen seen{.result = 1000};
                code::Invocation invocation{.runtime = &seen};
                EXPECT_EQ(code.run(nullptr, 0, &invocation), frame ? 1099u : 1000u);
                for (u64 i = 0; i < 5; ++i)
                    EXPECT_EQ(seen.args[i], 0x1111'1111'1111'1111 * (i + 1));
                EXPECT_EQ(seen.invocation, &invocation);
                EXPECT_EQ(seen.misalignment, 0u);
            }
        }
    }
}

// The entry called by code that holds values in every register that must survive.
TEST_P(Control, HostRegistersSurvive) {
    Insns body;
    for (Reg r = 0; r < 10; ++r) body.push_back(mov_imm(r, -1 - r));
    body.push_back(store_imm(Width::W64, 10, -8, 99));
    body = std::move(body) + Insns{call_helper(1), call_local(1), exit()};
    for (Reg r = 1; r < 10; ++r) body.push_back(mov_imm(r, 55));
    body = std::move(body) + Insns{call_helper(1), exit()};
    const Output output = compiled(link(body), GetParam());
    const Placed code(output, GetParam().convention, helper_for(GetParam()));
    Seen seen{.result = 17};
    code::Invocation invocation{.runtime = &seen};

    // rbx, rbp, rdi, rsi, r12 to r15 before and after.
    u64 result = 0;
    u64 before[8] = {0xB0B0, 0xB1B1, 0xB2B2, 0xB3B3, 0xB4B4, 0xB5B5, 0xB6B6, 0xB7B7};
    u64 after[8] = {};
    const void* entry = code.at(output.entry);
    struct Block {
        const void* entry;
        code::Invocation* invocation;
        u64* before;
        u64* after;
        u64* result;
        u64 windows;
    } block{entry, &invocation, before, after, &result, on_windows()};
    asm volatile(
        "push %%rbp\n\t push %%rbx\n\t push %%r12\n\t push %%r13\n\t push %%r14\n\t push %%r15\n\t"
        "push %%rax\n\t"  // the block; then rsp is 8 off, so one more
        "sub $8, %%rsp\n\t"
        "mov %%rsp, %%r11\n\t and $-16, %%rsp\n\t push %%r11\n\t push %%rax\n\t"
        "mov 16(%%rax), %%r10\n\t"  // before
        "mov 0(%%r10), %%rbx\n\t mov 8(%%r10), %%rbp\n\t"
        "mov 32(%%r10), %%r12\n\t mov 40(%%r10), %%r13\n\t mov 48(%%r10), %%r14\n\t mov 56(%%r10), "
        "%%r15\n\t"
        "cmpq $0, 40(%%rax)\n\t jne 1f\n\t"
        "mov 8(%%rax), %%rdx\n\t xor %%edi, %%edi\n\t xor %%esi, %%esi\n\t call *(%%rax)\n\t jmp "
        "2f\n\t"
        "1: mov 16(%%r10), %%rdi\n\t mov 24(%%r10), %%rsi\n\t"
        "mov 8(%%rax), %%r8\n\t xor %%ecx, %%ecx\n\t xor %%edx, %%edx\n\t"
        "sub $32, %%rsp\n\t call *(%%rax)\n\t add $32, %%rsp\n\t"
        "2: mov %%rax, %%r11\n\t pop %%rax\n\t"
        "mov 24(%%rax), %%r10\n\t"  // after
        "mov %%rbx, 0(%%r10)\n\t mov %%rbp, 8(%%r10)\n\t mov %%rdi, 16(%%r10)\n\t mov %%rsi, "
        "24(%%r10)\n\t"
        "mov %%r12, 32(%%r10)\n\t mov %%r13, 40(%%r10)\n\t mov %%r14, 48(%%r10)\n\t mov %%r15, "
        "56(%%r10)\n\t"
        "mov 32(%%rax), %%r10\n\t mov %%r11, (%%r10)\n\t"
        "pop %%rsp\n\t add $8, %%rsp\n\t pop %%rax\n\t"
        "pop %%r15\n\t pop %%r14\n\t pop %%r13\n\t pop %%r12\n\t pop %%rbx\n\t pop %%rbp\n\t"
        :
        : "a"(&block)
        : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    EXPECT_EQ(result, 17u);
    for (const int i : {0, 1, 4, 5, 6, 7}) EXPECT_EQ(after[i], before[i]) << i;
    if (on_windows()) {
        EXPECT_EQ(after[2], before[2]);
        EXPECT_EQ(after[3], before[3]);
    }
}

TEST_P(Control, HelperByRegister) {
    const Insn by_register{.form = Form::CallReg, .dst = 2};
    const Output output = compiled(link({mov_imm(2, 5), by_register, exit()}), GetParam());
    ASSERT_EQ(output.relocations.size(), 2u);
    EXPECT_EQ(output.relocations[0].index, code::kCustomHelper | 5);
    for (const Insns& unknown :
         {Insns{by_register, exit()}, Insns{load(Width::W64, 2, 1, 0), by_register, exit()},
          Insns{alu_imm(AluOp::Add, Width::W64, 2, 0), by_register, exit()},
          Insns{jump_imm(Cond::Ne, Width::W64, 1, 0, 1), mov_imm(2, 5), by_register, exit()}}) {
        // The table of helpers: number 5 only, whatever the number turns out to be.
        const Output indexed = compiled(link(unknown), GetParam());
        const auto five = [&](const code::Relocation& r) {
            if (r.index != (code::kCustomHelper | 5)) return u64{0};
            return on_windows() ? reinterpret_cast<u64>(note_windows)
                                : reinterpret_cast<u64>(note_system_v);
        };
        const Placed placed(indexed, GetParam().convention, five);
        for (const u64 number : {u64{5}, u64{4}, u64{255}, u64{256}, u64{1} << 32 | 5, ~u64{0}}) {
            Seen seen{.result = 77};
            code::Invocation invocation{.runtime = &seen};
            u64 memory = number;
            const u64 r0 = placed.run(&memory, number, &invocation);
            const auto fault = static_cast<code::Fault>(invocation.fault);
            EXPECT_EQ(r0, number == 5 ? 77u : 0u) << number;
            EXPECT_EQ(fault, number == 5 ? code::Fault::None : code::Fault::BadHelper) << number;
        }
    }
}

// --- callbacks -----------------------------------------------------------------------------------

// A helper that calls its first argument back, twice.
u64 twice_system_v(u64 function, u64 context, u64, u64, u64, code::Invocation* i) {
    const auto f = reinterpret_cast<code::HelperFn>(function);
    return f(1, context, 3, 4, 5, i) + f(10, context, 30, 40, 50, i);
}
__attribute__((ms_abi)) u64 twice_windows(u64 function, u64 context, u64, u64, u64,
                                          code::Invocation* i) {
    using Fn = __attribute__((ms_abi)) u64 (*)(u64, u64, u64, u64, u64, code::Invocation*);
    const auto f = reinterpret_cast<Fn>(function);
    return f(1, context, 3, 4, 5, i) + f(10, context, 30, 40, 50, i);
}

// How far the caller's rsp was from where it should have been.
u64 misalignment_system_v(u64, u64, u64, u64, u64, code::Invocation*) {
    return reinterpret_cast<u64>(__builtin_frame_address(0)) % 16;
}
__attribute__((ms_abi)) u64 misalignment_windows(u64, u64, u64, u64, u64, code::Invocation*) {
    return reinterpret_cast<u64>(__builtin_frame_address(0)) % 16;
}

TEST_P(Control, Callbacks) {
    const Insns insns{
        mov_imm(6, 7), store_imm(Width::W64, 10, -8, 100), wide(WideKind::Function, 1, 8),
        mov(2, 10), alu_imm(AluOp::Add, Width::W64, 2, -8), call_helper(1),
        // r0 + r6 + the cell
        load(Width::W64, 1, 10, -8), alu(AluOp::Add, Width::W64, 0, 1),
        alu(AluOp::Add, Width::W64, 0, 6), exit(),
        // the callback: the cell grows by r1, r6 and r7 are overwritten, returns r3 + r4 + r5
        load(Width::W64, 6, 2, 0), alu(AluOp::Add, Width::W64, 6, 1), store(Width::W64, 2, 0, 6),
        mov(7, 3), alu(AluOp::Add, Width::W64, 7, 4), alu(AluOp::Add, Width::W64, 7, 5),
        call_helper(2), alu(AluOp::Add, Width::W64, 0, 7), exit()};
    const Output output = compiled(link(insns), GetParam());
    const Placed code(output, GetParam().convention, [this](const code::Relocation& r) {
        if (r.index == 1) {
            return on_windows() ? reinterpret_cast<u64>(twice_windows)
                                : reinterpret_cast<u64>(twice_system_v);
        }
        return on_windows() ? reinterpret_cast<u64>(misalignment_windows)
                            : reinterpret_cast<u64>(misalignment_system_v);
    });
    code::Invocation invocation;
    EXPECT_EQ(code.run(nullptr, 0, &invocation), 12 + 120 + 111 + 7u);
}

// --- tail calls ----------------------------------------------------------------------------------

int tail_runs = 0;
u64 pend_system_v(u64, u64, u64, u64, u64, code::Invocation* i) {
    i->tail_pending = i->runtime;
    return 5;
}
__attribute__((ms_abi)) u64 pend_windows(u64, u64, u64, u64, u64, code::Invocation* i) {
    i->tail_pending = i->runtime;
    return 5;
}
u64 run_tail_system_v(code::Invocation* i) {
    i->tail_pending = nullptr;
    ++tail_runs;
    return 500;
}
__attribute__((ms_abi)) u64 run_tail_windows(code::Invocation* i) {
    i->tail_pending = nullptr;
    ++tail_runs;
    return 500;
}

TEST_P(Control, TailCalls) {
    const u32 tail_call = static_cast<u32>(spec::Helper::tail_call);
    const auto resolve = [this](const code::Relocation&) {
        return on_windows() ? reinterpret_cast<u64>(pend_windows)
                            : reinterpret_cast<u64>(pend_system_v);
    };
    code::Invocation invocation;
    invocation.run_tail = on_windows() ? reinterpret_cast<u64 (*)(code::Invocation*)>(
                                             reinterpret_cast<void*>(run_tail_windows))
                                       : run_tail_system_v;
    // In the entry: success leaves with the helper's result and lets the caller do the rest.
    const Output entry =
        compiled(link({mov_imm(6, 1), call_helper(tail_call), mov_imm(0, 1), exit()}), GetParam());
    const Placed in_entry(entry, GetParam().convention, resolve);
    EXPECT_EQ(in_entry.run(nullptr, 0, &invocation), 1u);  // the helper failed: the program goes on
    invocation.runtime = &invocation;
    EXPECT_EQ(in_entry.run(nullptr, 0, &invocation), 5u);
    EXPECT_EQ(invocation.tail_pending, &invocation);

    // In a subprogram: it is run there, and its result is the subprogram's.
    tail_runs = 0;
    invocation.tail_pending = nullptr;
    const Output sub =
        compiled(link({mov_imm(6, 20), call_local(2), alu(AluOp::Add, Width::W64, 0, 6), exit(),
                       mov_imm(6, 1), call_helper(tail_call), mov_imm(0, 1), exit()}),
                 GetParam());
    const Placed in_sub(sub, GetParam().convention, resolve);
    EXPECT_EQ(in_sub.run(nullptr, 0, &invocation), 520u);
    EXPECT_EQ(tail_runs, 1);
    invocation.runtime = nullptr;
    EXPECT_EQ(in_sub.run(nullptr, 0, &invocation), 21u);
}

// As a jump: out of the entry, through a prog array that the proof names; with a way by the helper.
TEST_P(Control, TailCallsThroughKnownArraysAreJumps) {
    const auto jumps = [](const Insns& insns, u32 at, spec::MapType type, i32 map) {
        ir::Program program = link(insns, 1);
        program.maps[0].type = type;
        ir::Facts facts;
        facts.insns.assign(program.insns.size(), {.reachable = true});
        facts.insns[at].constant_map = map;
        facts.stack_used.assign(program.subprograms.size(), 0);
        facts.max_call_depth = 2;
        const Output output = compiled(program, GetParam(), facts);
        EXPECT_TRUE(code::validate(output.view(0)));
        const auto of_kind = [&](code::RelocKind kind) {
            return std::ranges::count(output.relocations, kind, &code::Relocation::kind);
        };
        EXPECT_EQ(of_kind(code::RelocKind::Helper64), 1);
        return of_kind(code::RelocKind::ObjectSlots64) == 1;
    };
    const Insn tail_call = call_helper(static_cast<u32>(spec::Helper::tail_call));
    EXPECT_TRUE(jumps({tail_call, exit()}, 0, spec::MapType::ProgArray, 0));
    EXPECT_FALSE(jumps({tail_call, exit()}, 0, spec::MapType::ProgArray, -1));
    EXPECT_FALSE(jumps({tail_call, exit()}, 0, spec::MapType::ProgArray, 1));
    EXPECT_FALSE(jumps({tail_call, exit()}, 0, spec::MapType::ArrayOfMaps, 0));
    EXPECT_FALSE(jumps({call_helper(7), exit()}, 0, spec::MapType::ProgArray, 0));
    EXPECT_FALSE(jumps({call_local(1), exit(), tail_call, exit()}, 2, spec::MapType::ProgArray, 0));
}

// --- what is refused, and what is described ------------------------------------------------------

TEST_P(Control, RelocationsAreWhereTheyShouldBe) {
    const Insns insns{wide(WideKind::MapIndex, 1, 1),
                      wide(WideKind::MapIndexValue, 2, u64{24} << 32 | 2), call_helper(7), exit()};
    const Output output = compiled(link(insns, 3), GetParam());
    ASSERT_EQ(output.relocations.size(), 4u);
    EXPECT_TRUE(code::validate(output.view(0)));
    EXPECT_EQ(output.map_count, 3u);
    const auto& r = output.relocations;
    EXPECT_EQ(r[0].kind, code::RelocKind::Map64);
    EXPECT_EQ(r[0].index, 1u);
    EXPECT_EQ(r[1].kind, code::RelocKind::MapValue64);
    EXPECT_EQ(r[1].index, 2u);
    EXPECT_EQ(r[1].addend, 24u);
    // The call, and the detour to what is far away.
    EXPECT_EQ(r[2].kind, code::RelocKind::HelperNear32);
    EXPECT_EQ(r[2].index, 7u);
    EXPECT_EQ(r[3].kind, code::RelocKind::Helper64);
    EXPECT_EQ(r[3].index, 7u);
    EXPECT_FALSE(compile(link(insns, 2), {}, GetParam()));
    // The values arrive in the registers.
    const Output value =
        compiled(link({wide(WideKind::MapIndexValue, 0, 0), exit()}, 1), GetParam());
    EXPECT_EQ(
        Placed(value, GetParam().convention, [](const auto&) { return 0x1234'5678'9ABC'DEF0u; })
            .run(nullptr),
        0x1234'5678'9ABC'DEF0u);
}

// --- lookups in arrays ---------------------------------------------------------------------------

// r0 = lookup(map 0, r1), as the verifier describes it.
struct LookupProgram {
    ir::Program program =
        link({mov(2, 1), wide(WideKind::MapIndex, 1, 0),
              call_helper(static_cast<u32>(spec::Helper::map_lookup_elem)), exit()},
             1);
    ir::Facts facts;

    LookupProgram(u32 entries, u32 value_size) {
        program.maps[0].type = spec::MapType::Array;
        program.maps[0].key_size = 4;
        program.maps[0].value_size = value_size;
        program.maps[0].max_entries = entries;
        facts.insns.assign(4, {.reachable = true});
        facts.insns[2].constant_map = 0;
        facts.stack_used = {0};
        facts.max_call_depth = 1;
    }
    bool calls(const Target& target, const Options& options = {}) const {
        const auto output = compile(program, facts, target, options);
        EXPECT_TRUE(output);
        return output && std::ranges::any_of(output->relocations, [](const code::Relocation& r) {
                   using enum code::RelocKind;
                   return r.kind == HelperNear32 || r.kind == Helper64 || r.kind == LookupNear32;
               });
    }
};

constexpr u64 kValues = 0x7FFF'1234'5670;

u64 values_of_array(const code::Relocation& r) {
    if (r.kind != code::RelocKind::ArrayValues64) return 1;
    EXPECT_EQ(r.index, 0u);
    return kValues;
}

TEST_P(Control, LookupsInArraysAreArithmetic) {
    for (const u32 entries : {1u, 2u, 127u, 128u, 255u, 0x7FFF'FFFFu, 0x8000'0000u, ~u32{0}}) {
        for (const u32 size : {1u, 4u, 8u, 9u, 16u, 24u, 64u, 1000u, 4096u, 0x7FFF'FFF8u}) {
            const LookupProgram lookup(entries, size);
            const Output output = compiled(lookup.program, GetParam(), lookup.facts);
            EXPECT_TRUE(code::validate(output.view(0)));
            const Placed code(output, GetParam().convention, values_of_array);
            const u64 stride = (u64{size} + 7) / 8 * 8;
            for (const u32 key : {0u, 1u, 2u, 126u, 127u, 128u, 254u, 255u, 0x7FFF'FFFEu,
                                  0x7FFF'FFFFu, 0x8000'0000u, ~u32{0} - 1, ~u32{0}}) {
                struct {
                    u32 key;
                    u32 not_the_key = ~u32{0};
                } memory{key};
                code::Invocation invocation;
                ASSERT_EQ(code.run(&memory, 0, &invocation),
                          key < entries ? kValues + key * stride : 0)
                    << entries << " of " << size << " bytes, " << key;
            }
        }
    }
}

TEST_P(Control, LookupsAtConstantsAreAddresses) {
    for (const u32 key : {0u, 1u, 3u, 4u, 0x7FFF'FFFFu, ~u32{0}}) {
        LookupProgram lookup(4, 12);
        lookup.facts.insns[2].constant_key = true;
        lookup.facts.insns[2].key = key;
        const Output output = compiled(lookup.program, GetParam(), lookup.facts);
        code::Invocation invocation;
        u32 memory = key;
        EXPECT_EQ(
            Placed(output, GetParam().convention, values_of_array).run(&memory, 0, &invocation),
            key < 4 ? kValues + u64{key} * 16 : 0);
    }
}

TEST_P(Control, LookupsInPercpuArraysAreOfTheSlot) {
    for (const u32 entries : {1u, 4u, 9u}) {
        for (const bool constant : {false, true}) {
            LookupProgram lookup(entries, 12);
            lookup.program.maps[0].type = spec::MapType::PercpuArray;
            lookup.facts.insns[2].constant_key = constant;
            lookup.facts.insns[2].key = entries - 1;
            EXPECT_FALSE(lookup.calls(GetParam()));
            const Output output = compiled(lookup.program, GetParam(), lookup.facts);
            EXPECT_TRUE(code::validate(output.view(0)));
            const Placed code(output, GetParam().convention, values_of_array);
            const u64 block = (u64{entries} * 16 + 63) / 64 * 64;
            for (const u32 slot : {0u, 1u, 200u}) {
                code::Invocation invocation{.slot = slot};
                u32 key = entries - 1;
                EXPECT_EQ(code.run(&key, 0, &invocation), kValues + slot * block + key * 16);
                key = entries;
                if (constant) continue;
                EXPECT_EQ(code.run(&key, 0, &invocation), 0u);
            }
        }
    }
}

TEST_P(Control, LookupsInArraysOfMapsAreLoads) {
    struct {
        u64 count = 3;
        u64 slots[4] = {11, 0, 33, 44};  // one more than there are
    } objects;
    LookupProgram lookup(3, 4);
    lookup.program.maps[0].type = spec::MapType::ArrayOfMaps;
    EXPECT_FALSE(lookup.calls(GetParam()));
    const Output output = compiled(lookup.program, GetParam(), lookup.facts);
    EXPECT_TRUE(code::validate(output.view(0)));
    const Placed code(output, GetParam().convention, [&](const code::Relocation& r) {
        return r.kind == code::RelocKind::ObjectSlots64 ? reinterpret_cast<u64>(objects.slots) : 1;
    });
    for (u32 key : {0u, 1u, 2u, 3u, 0x8000'0000u, ~u32{0}}) {
        code::Invocation invocation;
        EXPECT_EQ(code.run(&key, 0, &invocation), key < 3 ? objects.slots[key] : 0) << key;
    }
}

u64 number_of(const void* map, const void* key, u32 slot) {
    u32 index;
    std::memcpy(&index, key, sizeof index);
    return reinterpret_cast<u64>(map) + 100 * u64{slot} + index;
}
u64 lookup_here(const void* map, const void* key, u32 slot) {
    return number_of(map, key, slot);
}
__attribute__((ms_abi)) u64 lookup_windows(const void* map, const void* key, u32 slot) {
    return number_of(map, key, slot);
}

TEST_P(Control, OtherLookupsCallTheMapsOwnFunction) {
    LookupProgram lookup(4, 8);
    lookup.program.maps[0].type = spec::MapType::Hash;
    const bool windows = GetParam().convention == CallingConvention::WindowsX64;
    const u64 function =
        windows ? reinterpret_cast<u64>(&lookup_windows) : reinterpret_cast<u64>(&lookup_here);
    const Output output = compiled(lookup.program, GetParam(), lookup.facts);
    EXPECT_TRUE(code::validate(output.view(0)));
    const Placed code(output, GetParam().convention, [&](const code::Relocation& r) {
        return r.kind == code::RelocKind::Map64 ? u64{7000} : function;
    });
    u32 key = 5;
    code::Invocation invocation{.slot = 3};
    EXPECT_EQ(code.run(&key, 0, &invocation), 7305u);
}

TEST_P(Control, OtherLookupsAreCalls) {
    EXPECT_FALSE(LookupProgram(4, 8).calls(GetParam()));
    EXPECT_TRUE(LookupProgram(4, 8).calls(GetParam(), {.blind_constants = true}));
    EXPECT_TRUE(LookupProgram(4, 0x7FFF'FFF9).calls(GetParam()));  // no immediate
    LookupProgram other(4, 8);
    for (const auto type : {spec::MapType::Hash, spec::MapType::LruHash, spec::MapType::LpmTrie}) {
        other.program.maps[0].type = type;
        EXPECT_TRUE(other.calls(GetParam()));
    }
    LookupProgram unknown(4, 8);
    unknown.facts.insns[2].constant_map = -1;
    EXPECT_TRUE(unknown.calls(GetParam()));
    unknown.facts = {};
    EXPECT_TRUE(unknown.calls(GetParam()));
    LookupProgram helper(4, 8);
    helper.program.insns[2] = call_helper(static_cast<u32>(spec::Helper::map_lookup_percpu_elem));
    EXPECT_TRUE(helper.calls(GetParam()));
}

TEST_P(Control, WhatIsUnsupportedSaysSo) {
    const auto refuse = [](const Insns& insns, const Target& target, const char* what) {
        const auto result = compile(link(insns), {}, target);
        ASSERT_FALSE(result) << what;
        EXPECT_EQ(result.error().code, Errc::Unsupported);
        EXPECT_STREQ(result.error().what, what);
    };
    const Insn kfunc{.form = Form::Call, .kind = static_cast<u8>(isa::CallKind::Kfunc), .imm = 3};
    refuse({kfunc, exit()}, GetParam(), "call of a kernel function");
    refuse({{.form = Form::LegacyLoad, .width = Width::W8}, exit()}, GetParam(),
           "legacy packet load");
    refuse({wide(WideKind::MapFd, 1, 3), exit()}, GetParam(), "map by descriptor");
    refuse({wide(WideKind::BtfId, 1, 3), exit()}, GetParam(), "variable by BTF id");
    // An option that a target lacks is an error.
    const Target arm{.cpu = code::Cpu::AArch64, .convention = CallingConvention::Aapcs64};
    EXPECT_TRUE(compile(link({exit()}), {}, arm));
    EXPECT_TRUE(compile(link({exit()}), {}, arm, {.blind_constants = true}));
    const auto result = compile(link({exit()}), {}, arm, {.safe_indirect_calls = true});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::Unsupported);
    Target with_unwind = arm;
    with_unwind.unwind = UnwindFormat::Windows;
    refuse({exit()}, with_unwind, "Windows' unwind data on AArch64");
}

TEST_P(Control, FactsOfAnotherProgram) {
    ir::Facts facts;
    facts.insns.resize(5);
    EXPECT_EQ(compile(link({mov_imm(0, 1), exit()}), facts, GetParam()).error().code,
              Errc::InvalidArgument);
    facts = {.stack_used = {8, 8}};
    EXPECT_EQ(compile(link({mov_imm(0, 1), exit()}), facts, GetParam()).error().code,
              Errc::InvalidArgument);
}

// Dead code costs two bytes, and a frame is as large as the proof says.
TEST_P(Control, FactsShrinkCode) {
    const Insns insns{store_imm(Width::W64, 10, -8, 1),
                      mov_imm(0, 3),
                      jump_imm(Cond::Eq, Width::W64, 0, 3, 3),
                      load(Width::W64, 0, 10, -8),
                      call_helper(1),
                      call_helper(2),
                      exit()};
    ir::Facts facts;
    facts.insns.assign(insns.size(), {.reachable = true});
    for (u32 i = 3; i < 6; ++i) facts.insns[i].reachable = false;
    facts.stack_used = {8};
    const Output output = compiled(link(insns), GetParam(), facts);
    EXPECT_TRUE(output.relocations.empty());
    EXPECT_LT(output.stack_bytes, 64u);
    EXPECT_EQ(Placed(output, GetParam().convention).run(nullptr), 3u);
}

std::string target_name(const testing::TestParamInfo<Target>& info) {
    const bool windows = info.param.convention == CallingConvention::WindowsX64;
    return std::string(windows ? "WindowsX64" : "SystemV") + (info.param.bmi2 ? "Bmi2" : "");
}
INSTANTIATE_TEST_SUITE_P(Targets, Control, testing::ValuesIn(all_targets()), target_name);

}  // namespace
}  // namespace ebpf::jit::test
