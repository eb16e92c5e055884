// SPDX-License-Identifier: MIT
// Who runs, and its memory.
#include "comparison.hpp"  // before <sys/mman.h>, which has a MAP_TYPE, too

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "platform/process.hpp"
#include "runtime/helpers.hpp"

namespace ebpf::runtime::test {
namespace {

using isa::Width;
using spec::Helper;

// helper(memory, size, address of the memory at `from`, or `from` itself where it is no offset).
std::vector<Insn> reading(Helper helper, u32 size, i32 from, bool own) {
    std::vector<Insn> p = {map_value(1, kMemory, 0), mov(2, static_cast<i32>(size)),
                           own ? map_value(3, kMemory, static_cast<u32>(from)) : mov(3, from),
                           call(helper)};
    keep_result(p, 0);
    finish(p);
    return p;
}

class Process : public Comparison {
  protected:
    // Linux' helpers for the kernel's memory say -ERANGE of an address of the user's half.
    Contents refused(const std::vector<Insn>& program, Helper helper, const Contents& memory) {
        const bool user =
            helper == Helper::probe_read_user || helper == Helper::probe_read_user_str;
        return user ? compare(program, memory) : run_here(program, memory, contents(""));
    }
};

TEST_F(Process, ReadingByAddress) {
    Contents memory = contents("xxxxxxxxxxxxxxxx");
    std::memcpy(memory.data() + 100, "sixteen bytes...", 16);
    for (const u32 size : {0u, 1u, 8u, 16u}) {
        const Contents left = compare(reading(Helper::probe_read_kernel, size, 100, true), memory);
        EXPECT_EQ(result(left, 0), 0);
        EXPECT_EQ(std::memcmp(left.data(), "sixteen bytes...", size), 0);
        EXPECT_EQ(left[size], memory[size]) << "nothing behind the size";
    }
    for (const Helper helper : {Helper::probe_read_kernel, Helper::probe_read_user}) {
        const Contents left = refused(reading(helper, 8, 8, false), helper, memory);
        EXPECT_EQ(result(left, 0), -14);
        EXPECT_EQ(std::memcmp(left.data(), "\0\0\0\0\0\0\0\0xxxxxxxx", 16), 0) << "zeros";
    }
}

TEST_F(Process, ReadingTexts) {
    Contents memory = contents("xxxxxxxxxxxxxxxx");
    std::memcpy(memory.data() + 100, "text", 5);
    const auto run = [&](Helper helper, u32 size, i32 from, bool own) {
        return compare(reading(helper, size, from, own), memory);
    };
    // Behind the NUL Linux leaves what was there, so the whole text fills the size exactly here.
    EXPECT_EQ(result(run(Helper::probe_read_kernel_str, 5, 100, true), 0), 5);
    Contents left = run(Helper::probe_read_kernel_str, 3, 100, true);
    EXPECT_EQ(result(left, 0), 3);
    EXPECT_EQ(std::memcmp(left.data(), "te\0x", 4), 0);
    EXPECT_EQ(result(run(Helper::probe_read_kernel_str, 1, 100, true), 0), 1);
    EXPECT_EQ(result(run(Helper::probe_read_kernel_str, 0, 100, true), 0), 0);
    for (const Helper helper : {Helper::probe_read_kernel_str, Helper::probe_read_user_str}) {
        left = refused(reading(helper, 8, 8, false), helper, memory);
        EXPECT_EQ(result(left, 0), -14);
        EXPECT_EQ(std::memcmp(left.data(), "\0\0\0\0\0\0\0\0x", 9), 0);
    }
    left = run_here(reading(Helper::probe_read_kernel_str, 8, 100, true), memory, contents(""));
    EXPECT_EQ(result(left, 0), 5);
    EXPECT_EQ(std::memcmp(left.data(), "text\0\0\0\0x", 9), 0) << "zeros behind the NUL";
}

// A text and memory that end with a page behind which there is nothing.
TEST_F(Process, ReadingUpToTheEndOfMemory) {
    const long page = sysconf(_SC_PAGESIZE);
    auto* pages =
        static_cast<char*>(mmap(nullptr, 2 * static_cast<std::size_t>(page), PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(pages, MAP_FAILED);
    ASSERT_EQ(mprotect(pages + page, static_cast<std::size_t>(page), PROT_NONE), 0);
    std::memcpy(pages + page - 4, "end", 4);
    code::Invocation invocation;
    Program program;
    program.dialect = spec::Dialect::Linux;
    invocation.program = &program;
    invocation.runtime = runtime_;
    const auto call = [&](Helper helper, char* out, u64 size, const char* from) {
        return static_cast<i64>(helper_address(spec::Dialect::Linux, helper)(
            reinterpret_cast<u64>(out), size, reinterpret_cast<u64>(from), 0, 0, &invocation));
    };
    char out[64];
    EXPECT_EQ(call(Helper::probe_read_user_str, out, sizeof out, pages + page - 4), 4);
    EXPECT_STREQ(out, "end");
    EXPECT_EQ(call(Helper::probe_read_user, out, 4, pages + page - 4), 0);
    EXPECT_EQ(call(Helper::probe_read_user, out, 5, pages + page - 4), -14);
    EXPECT_EQ(out[0], '\0');
    std::memcpy(pages + page - 4, "endX", 4);
    EXPECT_EQ(call(Helper::probe_read_user_str, out, sizeof out, pages + page - 4), -14);
    EXPECT_EQ(call(Helper::probe_read_user_str, out, 4, pages + page - 4), 4) << "cut before";
    EXPECT_STREQ(out, "end");
    EXPECT_EQ(call(Helper::probe_read_user, out, 1, pages + page), -14);
    EXPECT_EQ(call(Helper::probe_read_user, out, 1, nullptr), -14);
    EXPECT_EQ(call(Helper::probe_read_user, out, 8, reinterpret_cast<char*>(~u64{0})), -14);
    munmap(pages, 2 * static_cast<std::size_t>(page));
}

TEST_F(Process, WhoRuns) {
    struct stat space{};
    ASSERT_EQ(stat("/proc/self/ns/pid", &space), 0);
    std::vector<Insn> p;
    const auto keep = [&p](Helper helper, u32 n) {
        p.push_back(call(helper));
        keep_result(p, n);
    };
    keep(Helper::get_current_pid_tgid, 0);
    keep(Helper::get_current_uid_gid, 1);
    p.push_back(map_value(1, kMemory, 0));
    p.push_back(mov(2, 16));
    keep(Helper::get_current_comm, 2);
    p.push_back(map_value(1, kMemory, 16));
    p.push_back(mov(2, 4));
    keep(Helper::get_current_comm, 3);
    const auto in_space = [&](i32 device, u32 size, u32 n) {
        p.push_back(mov(1, device));
        p.push_back(constant(2, space.st_ino));
        p.push_back(map_value(3, kMemory, 32 + 8 * n));
        p.push_back(mov(4, static_cast<i32>(size)));
        keep(Helper::get_ns_current_pid_tgid, n);
    };
    in_space(static_cast<i32>(space.st_dev), 8, 4);
    in_space(static_cast<i32>(space.st_dev) + 1, 8, 5);
    in_space(static_cast<i32>(space.st_dev), 7, 6);
    keep(Helper::get_numa_node_id, 7);
    finish(p);
    Contents memory = contents("");
    std::memset(memory.data(), 'x', 256);
    Contents left;
    std::thread named([&] {
        pthread_setname_np(pthread_self(), "a name");
        left = compare(p, memory);
        const u64 id = static_cast<u64>(getpid()) << 32 | static_cast<u64>(gettid());
        EXPECT_EQ(static_cast<u64>(result(left, 0)), id);
    });
    named.join();
    EXPECT_EQ(static_cast<u64>(result(left, 1)), u64{getgid()} << 32 | getuid());
    EXPECT_STREQ(reinterpret_cast<const char*>(left.data()), "a name");
    EXPECT_STREQ(reinterpret_cast<const char*>(left.data()) + 16, "a n");
    EXPECT_EQ(result(left, 4), 0);
    EXPECT_EQ(result(left, 5), -22);
    EXPECT_EQ(result(left, 6), -22);
}

TEST(Platform, WhenProcessesAndThreadsBegan) {
    const i64 first = platform::thread_create_time();
    EXPECT_EQ(platform::thread_create_time(), first);
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const i64 as_windows = now.tv_sec * 10'000'000 + now.tv_nsec / 100 + 116'444'736'000'000'000;
    EXPECT_LE(first, as_windows + 10'000'000);
    EXPECT_GT(first, as_windows - i64{3600} * 10'000'000) << "this test takes no hour";
    i64 later = 0;
    std::thread([&] { later = platform::thread_create_time(); }).join();
    EXPECT_GE(later, first);
    const u64 key = platform::process_start_key();
    EXPECT_NE(key, 0u);
    u64 other_thread = 0;
    std::thread([&] { other_thread = platform::process_start_key(); }).join();
    EXPECT_EQ(other_thread, key);
}

TEST(Platform, AtomicTime) {
    timespec now{};
    clock_gettime(CLOCK_TAI, &now);
    const u64 ns = platform::atomic_time_ns();
    EXPECT_LT(ns - (static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec)),
              60'000'000'000u);
}

}  // namespace
}  // namespace ebpf::runtime::test
