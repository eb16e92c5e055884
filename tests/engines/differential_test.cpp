// SPDX-License-Identifier: MIT
//
// A sample of what fuzz/engines.cpp does by the million, and the proof that it would find
// something: the same harness over a code generator with planted miscompilations
// (jit/planted.hpp), each of which it has to notice within a bounded number of programs.
#include "differential.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../effort.hpp"
#include "a64_emulator.hpp"
#include "jit/planted.hpp"

namespace ebpf::engines {
namespace {

jit::Target target(jit::CallingConvention convention, bool bmi2) {
    return {.cpu = code::Cpu::X86_64, .convention = convention, .bmi2 = bmi2};
}

// Checked programs only: what else it has, tests/engines compares (aarch64_engine.cpp).
const Variant kAArch64{"aarch64", kEmulatedTarget};

constexpr jit::Options kOptimised{.level = jit::Level::Optimise};

std::vector<Variant> variants() {
    const bool bmi2 = jit::Target::host().bmi2;
    return {
        {"system_v", target(jit::CallingConvention::SystemV, bmi2)},
        {"any_x64", target(jit::CallingConvention::SystemV, false)},
        {"windows_x64", target(jit::CallingConvention::WindowsX64, bmi2)},
        {"optimised", target(jit::CallingConvention::SystemV, bmi2), kOptimised},
        {"optimised_any_x64", target(jit::CallingConvention::SystemV, false), kOptimised},
        {"optimised_windows_x64", target(jit::CallingConvention::WindowsX64, bmi2), kOptimised}};
}

#if defined(CASEMENT_PLANTED)

constexpr u64 kPrograms = 20'000;

bool finds(u32 planted, const std::vector<BaseProgram>& bases) {
    for (u64 seed = 1; seed <= kPrograms; ++seed) {
        for (Variant variant : variants()) {
            variant.options.planted = planted;
            if (try_generated(seed, variant) || try_mutated(seed, bases, variant) ||
                try_tail_calls(seed, variant) || try_lookups(seed, variant) ||
                try_checked(seed, bases, variant))
                return true;
        }
    }
    return false;
}

// In a process of its own: wrong code may also crash, which is as good as a difference. (Sanitizers
// end a process that crashes with status 1.)
TEST(Planted, EachIsFound) {
    ASSERT_GE(jit::kPlantedCount, 20u);
    const auto bases = base_programs(ENGINE_DATA);
    ASSERT_GE(bases.size(), 40u);
    constexpr int kMissed = 3;
    // Where nothing is planted nothing is found, and nothing crashes.
    for (const Variant& variant : variants()) {
        for (u64 seed = 1; seed <= 100; ++seed) {
            ASSERT_FALSE(try_generated(seed, variant)) << variant.name;
            ASSERT_FALSE(try_mutated(seed, bases, variant)) << variant.name;
            ASSERT_FALSE(try_tail_calls(seed, variant)) << variant.name;
            ASSERT_FALSE(try_lookups(seed, variant)) << variant.name;
            ASSERT_FALSE(try_checked(seed, bases, variant)) << variant.name;
        }
    }
    for (u32 n = 1; n <= jit::kPlantedCount; ++n) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) _exit(finds(n, bases) ? 0 : kMissed);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        const bool missed = WIFEXITED(status) && WEXITSTATUS(status) == kMissed;
        EXPECT_FALSE(missed) << jit::planted_name(n);
    }
}

// The code generator for AArch64 has the faults of checks only.
TEST(Planted, EachCheckIsFoundOnAArch64) {
    if (!emulates()) GTEST_SKIP() << "needs qemu-user, clang-19 and lld-19";
    const auto bases = base_programs(ENGINE_DATA);
    const auto found = [&](jit::Planted planted, u64 programs) {
        Variant variant = kAArch64;
        variant.options.planted = static_cast<u32>(planted);
        for (u64 seed = 1; seed <= programs; ++seed) {
            if (try_checked(seed, bases, variant)) return true;
        }
        return false;
    };
    EXPECT_FALSE(found(jit::Planted::None, 200));
    for (const jit::Planted planted :
         {jit::Planted::CheckOfHalfTheSize, jit::Planted::CheckForgetsAlignment,
          jit::Planted::CheckedFrameKeepsContent}) {
        EXPECT_TRUE(found(planted, kPrograms)) << jit::planted_name(static_cast<u32>(planted));
    }
}

#else

TEST(Differential, GeneratedPrograms) {
    for (const Variant& variant : variants()) {
        for (u64 seed = 0; seed < tries(6000); ++seed) {
            const auto difference = try_generated(seed, variant);
            ASSERT_FALSE(difference) << variant.name << ", seed " << seed << ": " << *difference;
        }
    }
}

TEST(Differential, MutatedPrograms) {
    const auto bases = base_programs(ENGINE_DATA);
    ASSERT_GE(bases.size(), 40u);
    u64 ran = 0, tried = 0;
    for (const Variant& variant : variants()) {
        for (u64 seed = 0; seed < tries(2000); ++seed) {
            const auto difference = try_mutated(seed, bases, variant, &ran);
            ++tried;
            ASSERT_FALSE(difference) << variant.name << ", seed " << seed << ": " << *difference;
        }
    }
    EXPECT_GT(12 * ran, tried) << "mutations that the verifier accepts";
}

// Each pass alone: what it makes of a program is the same program, to the interpreter and as code.
TEST(Differential, EachPassAlone) {
    const auto bases = base_programs(ENGINE_DATA);
    for (u32 n = 0; n < jit::passes().size(); ++n) {
        const Variant variant{jit::passes()[n].name,
                              target(jit::CallingConvention::SystemV, jit::Target::host().bmi2),
                              {},
                              jit::PassSet{1} << n};
        for (u64 seed = 0; seed < tries(2000); ++seed) {
            auto difference = try_generated(seed, variant);
            if (!difference) difference = try_mutated(seed, bases, variant);
            ASSERT_FALSE(difference) << variant.name << ", seed " << seed << ": " << *difference;
        }
    }
}

TEST(Differential, CheckedPrograms) {
    const auto bases = base_programs(ENGINE_DATA);
    const jit::Options hardened{
        .blind_constants = true, .blinding_seed = 99, .safe_indirect_calls = true};
    auto all = variants();
    for (Variant variant : variants()) {
        variant.options = hardened;
        all.push_back(variant);
    }
    if (emulates()) {
        all.push_back(kAArch64);
        all.push_back({"aarch64_blinded",
                       kAArch64.target,
                       {.cancellable = true, .blind_constants = true, .blinding_seed = 99}});
    }
    u64 ended = 0, tried = 0;
    for (const Variant& variant : all) {
        for (u64 seed = 0; seed < tries(1000); ++seed) {
            const auto difference = try_checked(seed, bases, variant, &ended);
            ++tried;
            ASSERT_FALSE(difference) << variant.name << ", seed " << seed << ": " << *difference;
        }
    }
    EXPECT_GT(12 * ended, tried) << "accesses out of bounds";
}

TEST(Differential, TailCalls) {
    const jit::Options hardened{
        .blind_constants = true, .blinding_seed = 99, .safe_indirect_calls = true};
    auto all = variants();
    for (const Variant& variant : variants()) {
        all.push_back({"hardened", variant.target, hardened});
        all.push_back({"limited", variant.target, {.metered = true, .cancellable = true}});
    }
    u32 at_the_limit = 0, total = 0, tried = 0;
    for (const Variant& variant : all) {
        for (u64 seed = 0; seed < tries(500); ++seed) {
            u32 calls = 0;
            const auto difference = try_tail_calls(seed, variant, &calls);
            ASSERT_FALSE(difference) << variant.name << ", seed " << seed << ": " << *difference;
            at_the_limit += calls == code::kMaxTailCalls;
            total += calls;
            ++tried;
        }
    }
    EXPECT_GT(18 * at_the_limit, tried);
    EXPECT_GT(total, 2 * tried);
}

TEST(Differential, Lookups) {
    auto all = variants();
    for (const Variant& variant : variants()) {
        all.push_back(
            {"hardened",
             variant.target,
             {.blind_constants = true, .blinding_seed = 99, .safe_indirect_calls = true}});
        all.push_back({"limited", variant.target, {.metered = true, .cancellable = true}});
        all.push_back({"checked", variant.target, {.metered = true, .checked = true}});
    }
    for (const Variant& variant : all) {
        u32 compiled_in = 0, tried = 0;
        for (u64 seed = 0; seed < tries(1000); ++seed) {
            const auto difference = try_lookups(seed, variant, &compiled_in);
            ++tried;
            ASSERT_FALSE(difference) << variant.name << ", seed " << seed << ": " << *difference;
        }
        // Of what nobody proved nothing is known.
        if (variant.options.checked) {
            EXPECT_EQ(compiled_in, 0u);
        } else {
            EXPECT_GT(compiled_in, tried) << variant.name;
        }
    }
}

#endif

}  // namespace
}  // namespace ebpf::engines
