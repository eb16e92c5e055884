// SPDX-License-Identifier: MIT
//
// The sandboxed compiling child proves itself: whatever it tries (planted.cpp) is refused or ends
// it, the load gets an error that says so, and the next load succeeds.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/sanitized.hpp"
#include "isa/codec.hpp"
#include "products/compile_child/pool.hpp"

using namespace ebpf;
using compile_child::Pool;
using compile_child::PoolOptions;
using testing::HasSubstr;

namespace {

constexpr u32 kLong = 120'000;  // ms: never reached, however slow the machine

PoolOptions planted(u32 children = 1, u32 deadline_ms = kLong) {
    return {.program = CASEMENT_PLANTED_CHILD,
            .arguments = {},
            .children = children,
            .deadline_ms = deadline_ms,
            .keep_stderr = kSanitized};
}

// r0 = 2; exit
engine::CompileJob job(std::string name) {
    engine::CompileJob job{
        .name = std::move(name), .license = "GPL", .type = spec::ProgramType::Xdp};
    for (const isa::Insn& insn :
         {isa::Insn{.form = isa::Form::AluImm, .kind = static_cast<u8>(isa::AluOp::Mov), .imm = 2},
          isa::Insn{.form = isa::Form::Exit}}) {
        isa::Slot slots[2];
        EXPECT_TRUE(isa::encode(insn, slots));
        const Bytes bytes = std::as_bytes(std::span(slots).first(1));
        job.slots.insert(job.slots.end(), bytes.begin(), bytes.end());
    }
    job.options.engine = code::EngineKind::Interpreter;
    return job;
}

void expect_good(Pool& pool) {
    const auto outcome = pool.compile(job("good"));
    EXPECT_EQ(outcome.error.code, Errc::Ok) << outcome.log;
    EXPECT_FALSE(outcome.code.text.empty());
}

std::size_t descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

// Processes whose parent we are.
std::size_t children() {
    std::ifstream in("/proc/thread-self/children");
    std::size_t count = 0;
    for (int pid = 0; in >> pid;) ++count;
    return count;
}

}  // namespace

TEST(CompileChild, SaysWhatItIsConfinedIn) {
    Pool pool(planted(2));
    ASSERT_TRUE(pool.start());
    std::printf("%s\n", pool.confinement().c_str());
    EXPECT_THAT(pool.confinement(), HasSubstr("2 compiling children"));
    expect_good(pool);
}

TEST(CompileChild, ACompiledProgramIsTheSameAsInThisProcess) {
    Pool pool(planted());
    ASSERT_TRUE(pool.start());
    const auto here = engine::compile_job(job("same"));
    const auto there = pool.compile(job("same"));
    EXPECT_EQ(here.code.text, there.code.text);
    EXPECT_EQ(here.log, there.log);
    auto bad = job("bad");
    bad.slots.erase(bad.slots.begin(), bad.slots.begin() + 8);
    const auto rejected = pool.compile(bad);
    EXPECT_EQ(rejected.error.code, Errc::VerificationFailed);
    EXPECT_EQ(rejected.log, engine::compile_job(bad).log);
    EXPECT_EQ(pool.figures().jobs, 2u);
    EXPECT_EQ(pool.figures().died, 0u);
}

class Planted : public testing::TestWithParam<const char*> {};

// System calls that it may not make: the kernel ends the process before they do anything.
class ForbiddenCall : public Planted {};
TEST_P(ForbiddenCall, EndsTheProcess) {
    if (kSanitized && std::string(GetParam()) == "descriptor")
        GTEST_SKIP() << "the sanitizer's run time may read and write other descriptors";
    Pool pool(planted());
    ASSERT_TRUE(pool.start());
    const auto outcome = pool.compile(job(std::string("plant:") + GetParam()));
    EXPECT_EQ(outcome.error.code, Errc::Failed);
    EXPECT_THAT(outcome.log, HasSubstr("(SYS)"));
    EXPECT_THAT(outcome.log, HasSubstr("is not loaded; other loads go on"));
    expect_good(pool);
    EXPECT_EQ(pool.figures().died, 1u);
}
INSTANTIATE_TEST_SUITE_P(All, ForbiddenCall,
                         testing::Values("open", "socket", "unix_socket", "trace", "kill",
                                         "kill_all", "executable", "executable_later", "fork",
                                         "exec", "descriptor", "bpf"),
                         [](const auto& plant) { return std::string(plant.param); });

// Whatever else ends it.
class Dies : public Planted {};
TEST_P(Dies, AndTheNextLoadSucceeds) {
    Pool pool(planted());
    ASSERT_TRUE(pool.start());
    for (int round = 0; round < 3; ++round) {
        const auto outcome = pool.compile(job(std::string("plant:") + GetParam()));
        EXPECT_EQ(outcome.error.code, Errc::Failed);
        EXPECT_THAT(outcome.log, HasSubstr("ended by"));
        expect_good(pool);
    }
    EXPECT_EQ(pool.figures().died, 3u);
}
INSTANTIATE_TEST_SUITE_P(All, Dies, testing::Values("recurse", "crash", "leave", "half"),
                         [](const auto& plant) { return std::string(plant.param); });

class Nonsense : public Planted {};
TEST_P(Nonsense, IsNotInstalled) {
    Pool pool(planted());
    ASSERT_TRUE(pool.start());
    const auto outcome = pool.compile(job(std::string("plant:") + GetParam()));
    EXPECT_EQ(outcome.error.code, Errc::Failed);
    EXPECT_THAT(outcome.log, HasSubstr("answered nonsense"));
    EXPECT_TRUE(outcome.code.text.empty());
    expect_good(pool);
    EXPECT_EQ(pool.figures().nonsense, 1u);
}
INSTANTIATE_TEST_SUITE_P(All, Nonsense,
                         testing::Values("bad_code", "no_code", "huge_size", "noise"),
                         [](const auto& plant) { return std::string(plant.param); });

TEST(CompileChild, TakesNoMoreMemoryThanItMay) {
    if (kSanitized) GTEST_SKIP() << "the sanitizer's own address space is beyond any limit";
    PoolOptions options = planted();
    options.memory_bytes = u64{256} << 20;
    Pool pool(options);
    ASSERT_TRUE(pool.start());
    const auto outcome = pool.compile(job("plant:allocate"));
    EXPECT_EQ(outcome.error.code, Errc::NoMemory) << outcome.log;
    expect_good(pool);
}

// By the clock, whether it computes or waits.
TEST(CompileChild, IsEndedAtItsDeadline) {
    for (const char* name : {"plant:spin", "plant:wait"}) {
        Pool pool(planted(1, 2'000));
        ASSERT_TRUE(pool.start());
        const auto outcome = pool.compile(job(name));
        EXPECT_EQ(outcome.error.code, Errc::Timeout) << outcome.log;
        EXPECT_THAT(outcome.log, HasSubstr("longer than the service allows"));
        EXPECT_EQ(pool.figures().late, 1u);
        EXPECT_EQ(pool.figures().restarts, 1u);
        expect_good(pool);
    }
}

TEST(CompileChild, NothingOfAJobReachesTheNext) {
    Pool pool(planted());
    ASSERT_TRUE(pool.start());
    for (int i = 0; i < 5; ++i) EXPECT_EQ(pool.compile(job("plant:remember")).log, "refused\n");
}

// One that never ends keeps one child; the other serves everybody else.
TEST(CompileChild, ALongJobStopsNoOther) {
    Pool pool(planted(2, 3'000));
    ASSERT_TRUE(pool.start());
    std::thread slow([&] { EXPECT_EQ(pool.compile(job("plant:wait")).error.code, Errc::Timeout); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    u32 served = 0;
    for (; served < 20; ++served) expect_good(pool);
    EXPECT_EQ(served, 20u);
    slow.join();
}

// Many threads, children dying all the time: every load gets its own answer, and nothing is left.
TEST(CompileChild, ManyLoadsAmongDyingChildren) {
    constexpr u32 kRounds = kSanitized ? 10 : 40;
    const std::size_t before = descriptors();
    {
        Pool pool(planted(3));
        ASSERT_TRUE(pool.start());
        std::atomic<u32> good{0}, bad{0};
        std::vector<std::thread> threads;
        for (u32 t = 0; t < 8; ++t) {
            threads.emplace_back([&, t] {
                constexpr const char* kHow[] = {"plant:crash", "plant:leave", "plant:open",
                                                "plant:noise"};
                for (u32 i = 0; i < kRounds; ++i) {
                    const bool ill = (i + t) % 5 == 0;
                    const auto outcome = pool.compile(job(ill ? kHow[i % 4] : "good"));
                    const bool right =
                        ill ? outcome.error.code == Errc::Failed : outcome.error.code == Errc::Ok;
                    EXPECT_TRUE(right) << outcome.log;
                    ++(ill ? bad : good);
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        const auto figures = pool.figures();
        EXPECT_EQ(figures.jobs, 8 * kRounds);
        EXPECT_EQ(figures.died + figures.nonsense, bad.load());
        std::printf("%u good, %u ill, restarts %llu\n", good.load(), bad.load(),
                    static_cast<unsigned long long>(figures.restarts));
    }
    EXPECT_EQ(descriptors(), before);
    EXPECT_EQ(children(), 0u);
}

// A child that somebody else ended between two jobs is started again without anybody noticing.
TEST(CompileChild, AChildThatIsGoneIsStartedAgain) {
    Pool pool(planted());
    ASSERT_TRUE(pool.start());
    std::ifstream in("/proc/thread-self/children");
    int pid = 0;
    ASSERT_TRUE(in >> pid);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    siginfo_t info{};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
    expect_good(pool);
    EXPECT_EQ(pool.figures().restarts, 1u);
}

TEST(CompileChild, WhatIsNoChildIsAnError) {
    PoolOptions options = planted();
    options.program = "/bin/true";
    Pool pool(options);
    EXPECT_FALSE(pool.start());
    options.program = "/does/not/exist";
    Pool none(options);
    EXPECT_FALSE(none.start());
}

// Not limits, figures: what a process for each job costs, one job after the other (each waits for
// the fork of its worker) and with time between them (the worker waits already), next to a bare
// fork.
TEST(CompileChild, CostOfAJob) {
    if (kSanitized) GTEST_SKIP() << "sanitized code costs something else";
    Pool pool(planted());
    ASSERT_TRUE(pool.start());
    constexpr int kJobs = 50;
    const auto micros = [](auto&& work, int pause_ms) {
        std::chrono::duration<double, std::micro> sum{};
        for (int i = 0; i < kJobs; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
            const auto start = std::chrono::steady_clock::now();
            work();
            sum += std::chrono::steady_clock::now() - start;
        }
        return sum.count() / kJobs;
    };
    const double in_a_row = micros([&] { expect_good(pool); }, 0);
    const double with_pauses = micros([&] { expect_good(pool); }, 10);
    const double here = micros([] { (void)engine::compile_job(job("good")); }, 0);
    const double bare = micros(
        [] {
            const pid_t process = fork();
            if (process == 0) _exit(0);
            waitpid(process, nullptr, 0);
        },
        0);
    std::printf(
        "a job of two instructions: %.0f us in a row, %.0f us with pauses, %.0f us in this "
        "process; "
        "fork and wait alone: %.0f us\n",
        in_a_row, with_pauses, here, bare);
}
