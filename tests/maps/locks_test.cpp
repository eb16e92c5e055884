// SPDX-License-Identifier: MIT
// Locks in values: programs of both engines and applications with BPF_F_LOCK see two counters equal
// that only change together.
#include "locks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "object_test.hpp"

namespace {

constexpr unsigned kRounds = 4000;
constexpr __u32 kKey = 1;

class Locks : public ObjectTest {
  protected:
    Locks() : ObjectTest("locks.o") {}
    void SetUp() override {
        ObjectTest::SetUp();
        if (!ready()) return;
        inner_ = make_inner(true);
        ASSERT_GE(inner_, 0);
        const __u32 zero = 0;
        ASSERT_EQ(bpf_map_update_elem(map("rows"), &zero, &inner_, 0), 0);
    }
    void TearDown() override {
        ObjectTest::TearDown();
        if (inner_ >= 0) close(inner_);
    }
    // As the template of `rows`, or without its lock.
    int make_inner(bool with_lock) const {
        bpf_map_info info{};
        __u32 size = sizeof info;
        EXPECT_EQ(bpf_obj_get_info_by_fd(map("row"), &info, &size), 0);
        LIBBPF_OPTS(bpf_map_create_opts, opts);
        const int types = bpf_btf_get_fd_by_id(info.btf_id);
        EXPECT_GE(types, 0);
        if (with_lock) {
            opts.btf_fd = static_cast<__u32>(types);
            opts.btf_key_type_id = info.btf_key_type_id;
            opts.btf_value_type_id = info.btf_value_type_id;
        }
        const int made = bpf_map_create(BPF_MAP_TYPE_ARRAY, "inner", 4, sizeof(twins), 2, &opts);
        close(types);
        return made;
    }
    int run(const char* name, unsigned repeat = 1) const {
        unsigned char packet[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof packet,
                    .repeat = static_cast<int>(repeat));
        EXPECT_EQ(bpf_prog_test_run_opts(program(name), &opts), 0) << std::strerror(errno);
        return static_cast<int>(opts.retval);
    }

    int inner_ = -1;
};

// Two threads run the program, one reads and writes with the lock.
void counts_together(const std::function<int()>& run, int map) {
    const twins zero{};
    ASSERT_EQ(bpf_map_update_elem(map, &kKey, &zero, BPF_ANY), 0);
    std::atomic<unsigned> wrong{0}, runs{0};
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            for (unsigned n = 0; n < kRounds; ++n) {
                if (run() != XDP_PASS) ++wrong;
                ++runs;
            }
        });
    }
    std::thread application([&] {
        while (!done) {
            twins seen{};
            if (bpf_map_lookup_elem_flags(map, &kKey, &seen, BPF_F_LOCK) != 0) ++wrong;
            if (seen.first != seen.second || seen.lock.val != 0) ++wrong;
            seen.second = seen.first += 1'000'000;
            seen.lock.val = 77;  // never gets in
            if (bpf_map_update_elem(map, &kKey, &seen, BPF_F_LOCK | BPF_EXIST) != 0) ++wrong;
        }
    });
    for (std::thread& thread : threads) thread.join();
    done = true;
    application.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(runs, 2 * kRounds);
}

TEST_P(Locks, CountersChangeTogetherInAHash) {
    counts_together([this] { return run("in_table"); }, map("table"));
}
TEST_P(Locks, CountersChangeTogetherInAnArray) {
    counts_together([this] { return run("in_row"); }, map("row"));
}
TEST_P(Locks, CountersChangeTogetherInAnInnerMap) {
    counts_together([this] { return run("in_inner_row"); }, inner_);
}

TEST_P(Locks, NoCountIsLost) {
    const twins zero{};
    ASSERT_EQ(bpf_map_update_elem(map("row"), &kKey, &zero, BPF_ANY), 0);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([this] { run("in_row", 50'000); });
    for (std::thread& thread : threads) thread.join();
    twins seen{};
    ASSERT_EQ(bpf_map_lookup_elem_flags(map("row"), &kKey, &seen, BPF_F_LOCK), 0);
    EXPECT_EQ(seen.first, 200'000u);
    EXPECT_EQ(seen.second, 200'000u);
}

TEST_P(Locks, ProgramsUpdateInPlace) {
    EXPECT_EQ(run("set_both"), XDP_PASS);  // makes the element
    EXPECT_EQ(run("in_table"), XDP_PASS);
    EXPECT_EQ(run("set_both"), XDP_PASS);
    for (const char* name : {"table", "row"}) {
        twins seen{};
        ASSERT_EQ(bpf_map_lookup_elem(map(name), &kKey, &seen), 0);
        EXPECT_EQ(seen.first, 1000u);
        EXPECT_EQ(seen.second, 1000u);
    }
}

TEST_P(Locks, ApplicationsNeverSeeOrWriteALock) {
    twins value{.first = 1, .lock = {7}, .after = 3, .second = 4};
    for (const char* name : {"table", "row"}) {
        ASSERT_EQ(bpf_map_update_elem(map(name), &kKey, &value, BPF_ANY), 0);
        twins seen{};
        seen.lock.val = 99;
        ASSERT_EQ(bpf_map_lookup_elem(map(name), &kKey, &seen), 0);
        EXPECT_EQ(seen.lock.val, 0u);
        EXPECT_EQ(seen.first, 1u);
        EXPECT_EQ(seen.after, 3u);
        EXPECT_EQ(seen.second, 4u);
    }
    EXPECT_EQ(run("in_table"), XDP_DROP) << "1 and 4 are not equal; the lock was free";
}

TEST_P(Locks, BatchesWithTheLock) {
    const __u32 keys[] = {0, 1};
    twins values[2] = {{.first = 5, .lock = {1}, .second = 5}, {.first = 6, .second = 6}};
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_F_LOCK);
    for (const char* name : {"table", "row"}) {
        __u32 count = 2;
        ASSERT_EQ(bpf_map_update_batch(map(name), keys, values, &count, &opts), 0);
        __u32 position = 0, found[2] = {};
        twins seen[8] = {};
        __u32 many[8] = {};
        count = 8;
        const int end =
            bpf_map_lookup_batch(map(name), nullptr, &position, many, seen, &count, &opts);
        EXPECT_TRUE(end == -ENOENT || end == 0) << end;
        ASSERT_EQ(count, 2u);
        for (__u32 i = 0; i < 2; ++i) {
            ASSERT_LT(many[i], 2u);
            ++found[many[i]];
            EXPECT_EQ(seen[i].first, 5 + many[i]);
            EXPECT_EQ(seen[i].lock.val, 0u);
        }
        EXPECT_EQ(found[0] + found[1], 2u);
    }
    twins taken{};
    ASSERT_EQ(bpf_map_lookup_and_delete_elem_flags(map("table"), keys, &taken, BPF_F_LOCK), 0);
    EXPECT_EQ(taken.second, 5u);
    EXPECT_EQ(bpf_map_lookup_elem(map("table"), keys, &taken), -ENOENT);
}

TEST_P(Locks, InnerMapsWithoutTheLockAreRefused) {
    const int plain = make_inner(false);
    ASSERT_GE(plain, 0);
    const __u32 zero = 0;
    EXPECT_EQ(bpf_map_update_elem(map("rows"), &zero, &plain, 0), -EINVAL);
    close(plain);
}

// A program made by hand is held to the map's fields as one of an object is.
TEST_P(Locks, NobodyReachesALockButByItsHelpers) {
    const int fd = map("row");
    const bpf_insn insns[] = {
        {BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 1},
        {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, fd},
        {0, 0, 0, 0, 0},
        {BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0},
        {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4},
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1, 0},
        {BPF_LDX | BPF_MEM | BPF_W, 0, 0, offsetof(twins, lock), 0},
        {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    bpf_insn other[std::size(insns)];
    std::memcpy(other, insns, sizeof insns);
    other[7].off = offsetof(twins, after);
    const int bad =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "bad", "GPL", insns, std::size(insns), nullptr);
    EXPECT_LT(bad, 0);
    const int good =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "good", "GPL", other, std::size(other), nullptr);
    EXPECT_GE(good, 0);
    close(good);
}

INSTANTIATE_TEST_SUITE_P(Engines, Locks, testing::Values(EBPF_ENGINE_INTERPRETER, EBPF_ENGINE_JIT),
                         [](const auto& engine) {
                             return engine.param == EBPF_ENGINE_JIT ? "Jit" : "Interpreter";
                         });

}  // namespace
