// SPDX-License-Identifier: MIT
// Timers in values, by programs of both engines: what the helpers answer, when functions run, and
// that nothing is left when values, maps and programs go.
#include "timers.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "object_test.hpp"
#include "platform/system.hpp"

namespace {

constexpr __u64 kMillisecond = 1'000'000;
constexpr __u64 kLong = 3600'000 * kMillisecond;
constexpr __u32 kHash = 0, kArray = 1, kLru = 2;
constexpr const char* kMaps[] = {"table", "row", "recent"};
constexpr __u32 kCount = 0, kCancelItself = 1, kDeleteItself = 2, kWorkLong = 3;
constexpr __u64 kAbsolute = 1;

// Linux's numbers, which programs pass and get on every system.
constexpr __u64 kRealtime = 0, kMonotonic = 1, kBoottime = 7;
constexpr int kDeadlock = 35;

__u64 now_ns(__u64 clock) {
    if (clock == kMonotonic) return ebpf::platform::monotonic_ns();
    if (clock == kBoottime) return ebpf::platform::boot_ns();
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<__u64>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count());
}

bool becomes_true(const std::function<bool()>& is) {
    const __u64 end = now_ns(kMonotonic) + 10'000 * kMillisecond;
    while (!is()) {
        if (now_ns(kMonotonic) > end) return false;
        usleep(500);
    }
    return true;
}

bool shows_nothing(const timed& value) {
    const unsigned char zeros[sizeof value.timer] = {};  // the structure has no members to be zero
    return std::memcmp(&value.timer, zeros, sizeof zeros) == 0;
}

class Timers : public ObjectTest {
  protected:
    Timers() : ObjectTest("timers.o") {}
    void SetUp() override {
        ObjectTest::SetUp();
        if (!ready()) return;
        program_ = program("act");
        for (__u32 key = 0; key < 4; ++key) {
            for (const __u32 map : {kHash, kArray, kLru}) put(map, key, 0);
        }
    }

    int map(__u32 which) const { return bpf_object__find_map_fd_by_name(object_, kMaps[which]); }
    int put(__u32 which, __u32 key, __u64 period) const {
        timed value{};
        std::memset(&value.timer, 0xff, sizeof value.timer);  // never gets in
        value.period = period;
        return bpf_map_update_elem(map(which), &key, &value, BPF_ANY);
    }
    timed value(__u32 which, __u32 key) const {
        timed seen{};
        std::memset(&seen.timer, 0xff, sizeof seen.timer);
        EXPECT_EQ(bpf_map_lookup_elem(map(which), &key, &seen), 0);
        EXPECT_TRUE(shows_nothing(seen)) << "an address came out";
        return seen;
    }
    __u64 fired(__u32 which, __u32 key) const { return value(which, key).fired; }
    int run(const char* name) const {
        unsigned char packet[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof packet,
                    .repeat = 1);
        const int fd = program(name);
        EXPECT_EQ(bpf_prog_test_run_opts(fd, &opts), 0) << std::strerror(errno);
        return static_cast<int>(opts.retval);
    }
    void act(const request& wanted) const {
        unsigned char packet[64] = {};
        std::memcpy(packet, &wanted, sizeof wanted);
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof packet,
                    .repeat = 1);
        ASSERT_EQ(bpf_prog_test_run_opts(program_, &opts), 0) << std::strerror(errno);
        ASSERT_EQ(opts.retval, 2u);
    }
    // A variable of the program.
    template <typename T>
    T variable(const char* section, size_t offset) const {
        std::vector<unsigned char> bytes(4096);
        const __u32 zero = 0;
        bpf_map* m = bpf_object__find_map_by_name(object_, section);
        EXPECT_EQ(bpf_map_lookup_elem(bpf_map__fd(m), &zero, bytes.data()), 0);
        T out;
        std::memcpy(&out, bytes.data() + offset, sizeof out);
        return out;
    }
    struct Bss {
        __u64 fired_at, running, overlapped;
        __s64 answers[5];
    };
    // .bss and .data hold the variables in the order of the source.
    Bss bss() const { return variable<Bss>(".bss", 0); }
    __s64 last_cancel() const { return variable<__s64>(".data", 0); }
    __u64 last_key() const { return variable<__u64>(".data", 8); }

    __s64 make(__u32 which, __u32 key, __u64 clock = kMonotonic) const {
        act({.map = which, .key = key, .actions = MAKE, .clock = clock});
        return bss().answers[0];
    }
    __s64 set(__u32 which, __u32 key, __u32 function = kCount) const {
        act({.map = which, .key = key, .actions = SET_FUNCTION, .function = function});
        return bss().answers[1];
    }
    __s64 start(__u32 which, __u32 key, __u64 ns, __u64 flags = 0) const {
        act({.map = which, .key = key, .actions = START, .ns = ns, .flags = flags});
        return bss().answers[2];
    }
    __s64 cancel(__u32 which, __u32 key) const {
        act({.map = which, .key = key, .actions = CANCEL});
        return bss().answers[3];
    }
    void arm(__u32 which, __u32 key, __u64 ns, __u32 function = kCount) const {
        EXPECT_EQ(make(which, key), 0);
        EXPECT_EQ(set(which, key, function), 0);
        EXPECT_EQ(start(which, key, ns), 0);
    }
    __u32 program_id() const {
        bpf_prog_info info{};
        __u32 size = sizeof info;
        EXPECT_EQ(bpf_obj_get_info_by_fd(program_, &info, &size), 0);
        return info.id;
    }

    int program_ = -1;
};

bool program_exists(__u32 id) {
    // The library learns of close() at its next call.
    close(bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, nullptr));
    const int fd = bpf_prog_get_fd_by_id(id);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

TEST_P(Timers, FunctionsGetMapKeyAndValue) {
    for (const __u32 which : {kHash, kArray, kLru}) {
        arm(which, 3, kMillisecond);
        EXPECT_TRUE(becomes_true([&] { return fired(which, 3) == 1; })) << kMaps[which];
        EXPECT_EQ(last_key(), 3u) << kMaps[which];
        EXPECT_EQ(fired(which, 2), 0u);
        EXPECT_EQ(start(which, 3, kMillisecond), 0) << "again, by the program";
        EXPECT_TRUE(becomes_true([&] { return fired(which, 3) == 2; })) << kMaps[which];
    }
}

TEST_P(Timers, WrongCallsAreErrors) {
    EXPECT_EQ(set(kHash, 1), -EINVAL);
    EXPECT_EQ(start(kHash, 1, 0), -EINVAL);
    EXPECT_EQ(cancel(kHash, 1), -EINVAL);
    for (const __u64 clock :
         {2ull, 3ull, 4ull, 5ull, 6ull, 8ull, 11ull, 15ull, 16ull, 17ull, 1ull << 32}) {
        EXPECT_EQ(make(kHash, 1, clock), -EINVAL) << clock;
    }
    EXPECT_EQ(make(kHash, 1), 0);
    EXPECT_EQ(make(kHash, 1), -EBUSY);
    EXPECT_EQ(start(kHash, 1, 0), -EINVAL) << "no function yet";
    EXPECT_EQ(cancel(kHash, 1), 0);
    EXPECT_EQ(set(kHash, 1), 0);
    for (const __u64 flags : {4ull, 8ull, 1ull << 32}) {  // 2 is Linux's alone: docs/maps.md
        EXPECT_EQ(start(kHash, 1, kLong, flags), -EINVAL) << flags;
    }
    EXPECT_EQ(start(kHash, 1, kLong), 0);
    EXPECT_EQ(cancel(kHash, 1), 1);
    EXPECT_EQ(cancel(kHash, 1), 0);
    EXPECT_EQ(start(kHash, 1, kLong), -EINVAL) << "cancelling forgets the function";
    EXPECT_EQ(fired(kHash, 1), 0u);
}

TEST_P(Timers, OwnFunctionsCannotCancel) {
    arm(kArray, 1, 0, kCancelItself);
    EXPECT_TRUE(becomes_true([&] { return fired(kArray, 1) == 1; }));
    EXPECT_EQ(last_cancel(), -kDeadlock);
}

TEST_P(Timers, ClocksAndAbsoluteTimes) {
    __u32 key = 0;
    for (const __u64 clock : {kRealtime, kMonotonic, kBoottime}) {
        EXPECT_EQ(make(kArray, key, static_cast<__u64>(clock)), 0);
        EXPECT_EQ(set(kArray, key), 0);
        const __u64 soonest = now_ns(kMonotonic) + 20 * kMillisecond;
        // Of the calendar's clock they are the monotonic clock's, as Linux has it.
        const __u64 there = now_ns(clock == kRealtime ? kMonotonic : clock);
        EXPECT_EQ(start(kArray, key, there + 21 * kMillisecond, kAbsolute), 0);
        EXPECT_TRUE(becomes_true([&] { return fired(kArray, key) == 1; })) << clock;
        EXPECT_GE(bss().fired_at, soonest) << clock;
        EXPECT_EQ(start(kArray, key, 1, kAbsolute), 0) << "long ago";
        EXPECT_TRUE(becomes_true([&] { return fired(kArray, key) == 2; })) << clock;
        ++key;
    }
    EXPECT_EQ(make(kArray, 3), 0);
    EXPECT_EQ(set(kArray, 3), 0);
    EXPECT_EQ(start(kArray, 3, now_ns(kRealtime), kAbsolute), 0) << "decades ahead";
    EXPECT_EQ(cancel(kArray, 3), 1);
}

TEST_P(Timers, StartingAgainMovesTheTime) {
    arm(kHash, 1, kLong);
    EXPECT_EQ(start(kHash, 1, 2 * kMillisecond), 0);
    EXPECT_TRUE(becomes_true([&] { return fired(kHash, 1) == 1; }));
    __u64 before, began;
    do {  // until a busy machine lets both starts happen before the first's time has come
        EXPECT_GE(cancel(kHash, 1), 0);
        EXPECT_EQ(set(kHash, 1), 0);
        before = fired(kHash, 1);
        began = now_ns(kMonotonic);
        EXPECT_EQ(start(kHash, 1, 10 * kMillisecond), 0);
        EXPECT_EQ(start(kHash, 1, kLong), 0);
    } while (now_ns(kMonotonic) - began > 10 * kMillisecond);
    usleep(30'000);
    EXPECT_EQ(fired(kHash, 1), before);
}

TEST_P(Timers, FunctionsStartTheirTimerAgain) {
    for (const __u32 which : {kHash, kArray, kLru}) {
        ASSERT_EQ(put(which, 2, kMillisecond), 0);
        arm(which, 2, 0);
        EXPECT_TRUE(becomes_true([&] { return fired(which, 2) >= 5; })) << kMaps[which];
        const __s64 armed = cancel(which, 2);
        EXPECT_TRUE(armed == 0 || armed == 1) << armed;
        const __u64 last = fired(which, 2);
        usleep(10'000);
        EXPECT_EQ(fired(which, 2), last) << "cancelled";
    }
}

TEST_P(Timers, UpdatesEndThem) {
    for (const __u32 which : {kHash, kArray, kLru}) {
        arm(which, 1, 10 * kMillisecond);
        ASSERT_EQ(put(which, 1, 0), 0);
        EXPECT_EQ(cancel(which, 1), -EINVAL) << kMaps[which] << ": the value has none now";
        EXPECT_EQ(make(which, 1), 0);
        usleep(30'000);
        EXPECT_EQ(fired(which, 1), 0u) << kMaps[which];
    }
}

TEST_P(Timers, DeletionEndsThem) {
    for (const __u32 which : {kHash, kLru}) {
        arm(which, 1, 10 * kMillisecond);
        const __u32 key = 1;
        ASSERT_EQ(bpf_map_delete_elem(map(which), &key), 0);
        ASSERT_EQ(put(which, 1, 0), 0);
        usleep(30'000);
        EXPECT_EQ(fired(which, 1), 0u);
        arm(which, 1, 10 * kMillisecond);
        timed taken{};
        ASSERT_EQ(bpf_map_lookup_and_delete_elem(map(which), &key, &taken), 0);
        EXPECT_TRUE(shows_nothing(taken));
    }
}

TEST_P(Timers, FunctionsMayDeleteTheirValue) {
    for (const __u32 which : {kHash, kLru}) {
        arm(which, 1, 0, kDeleteItself);
        const __u32 key = 1;
        timed seen{};
        EXPECT_TRUE(becomes_true([&] {
            return bpf_map_lookup_elem(map(which), &key, &seen) == -ENOENT;
        })) << kMaps[which];
    }
}

// A program can still hold the address of a value that it deleted.
TEST_P(Timers, DeletedValuesGetNoOther) {
    act({.map = kHash, .key = 1, .actions = DELETE, .clock = kMonotonic});
    EXPECT_EQ(bss().answers[4], 0);
    EXPECT_EQ(bss().answers[0], -EPERM);
}

TEST_P(Timers, DroppedElementsEndTheirs) {
    for (__u32 key = 0; key < 4; ++key) arm(kLru, key, 20 * kMillisecond);
    for (__u32 key = 100; key < 200; ++key) put(kLru, key, 0);
    for (__u32 key = 0; key < 4; ++key) put(kLru, key, 0);
    usleep(50'000);
    for (__u32 key = 0; key < 4; ++key) EXPECT_EQ(fired(kLru, key), 0u);
}

TEST_P(Timers, CancellingWaitsForTheFunction) {
    EXPECT_EQ(make(kArray, 0), 0);
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(set(kArray, 0, kWorkLong), 0);
        EXPECT_EQ(start(kArray, 0, 0), 0);
        becomes_true([&] { return bss().running == 1 || fired(kArray, 0) > 0; });
        EXPECT_GE(cancel(kArray, 0), 0);
        EXPECT_EQ(bss().running, 0u) << "it had ended";
    }
}

TEST_P(Timers, ArmedOnesKeepTheirProgramAndTheMapsLastUserEndsThem) {
    const __u32 id = program_id();
    const int kept = dup(map(kHash));
    ASSERT_GE(kept, 0);
    ASSERT_EQ(put(kHash, 2, kMillisecond), 0);
    arm(kHash, 2, 0);
    arm(kArray, 1, kLong);
    bpf_object__close(object_);
    object_ = nullptr;
    EXPECT_TRUE(program_exists(id));
    const __u32 key = 2;
    timed before{}, after{};
    ASSERT_EQ(bpf_map_lookup_elem(kept, &key, &before), 0);
    EXPECT_TRUE(becomes_true([&] {
        return bpf_map_lookup_elem(kept, &key, &after) == 0 && after.fired > before.fired + 2;
    }));
    close(kept);
    EXPECT_TRUE(becomes_true([&] { return !program_exists(id); }));
}

TEST_P(Timers, FunctionsGetTheMapThatTheTimerLiesIn) {
    const __u32 zero = 0;
    const int row = map(kArray);
    ASSERT_EQ(bpf_map_update_elem(bpf_object__find_map_fd_by_name(object_, "rows"), &zero, &row, 0),
              0);
    EXPECT_EQ(run("start_found"), XDP_DROP) << "no timer yet";
    EXPECT_EQ(make(kArray, 5), 0);
    EXPECT_EQ(run("start_found"), XDP_PASS);
    EXPECT_TRUE(becomes_true([&] { return fired(kArray, 6) == 7 && fired(kArray, 2) == 8; }));
}

// Programs, their timers' functions and applications at the same elements at once.
TEST_P(Timers, EverybodyAtOnce) {
    const __u32 id = program_id();
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 2; ++seed) {
        threads.emplace_back([this, seed, &done] {
            std::minstd_rand engine(seed + 1);
            const auto random = [&] { return static_cast<__u32>(engine()); };
            while (!done) {
                act({.map = random() % 3,
                     .key = random() % 4,
                     .actions = random() % 32,
                     .function = random() % 16 == 0 ? kWorkLong : random() % 3,
                     .clock = kMonotonic,
                     .ns = random() % 200'000,
                     .flags = 0});
            }
        });
    }
    threads.emplace_back([this, &done] {
        std::minstd_rand engine(99);
        const auto random = [&] { return static_cast<__u32>(engine()); };
        while (!done) {
            const __u32 which = random() % 3;
            const __u32 key = random() % 4;
            if (random() % 4 == 0) {
                bpf_map_delete_elem(map(which), &key);
            } else {
                put(which, key, random() % 2 == 0 ? 50'000 : 0);
            }
            if (random() % 8 == 0) usleep(100);
        }
    });
    usleep(700'000);
    done = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(bss().overlapped, 0u) << "one function at a time";
    bpf_object__close(object_);
    object_ = nullptr;
    EXPECT_TRUE(becomes_true([&] { return !program_exists(id); }));
}

// A map that was made without type information keeps nobody away from what a program would take for
// a timer in it.
TEST(ReusedMaps, HaveOnlyTheTimersThatTheyWereMadeWith) {
    bpf_object* const object = bpf_object__open(object_path("timers.o").c_str());
    ASSERT_TRUE(object);
    bpf_map* const table = bpf_object__find_map_by_name(object, "table");
    const int plain =
        bpf_map_create(BPF_MAP_TYPE_HASH, "table", bpf_map__key_size(table),
                       bpf_map__value_size(table), bpf_map__max_entries(table), nullptr);
    ASSERT_GE(plain, 0);
    ASSERT_EQ(bpf_map__reuse_fd(table, plain), 0);
    close(plain);
    EXPECT_LT(bpf_object__load(object), 0);
    bpf_object__close(object);
}

INSTANTIATE_TEST_SUITE_P(Engines, Timers, testing::Values(EBPF_ENGINE_INTERPRETER, EBPF_ENGINE_JIT),
                         [](const auto& engine) {
                             return engine.param == EBPF_ENGINE_JIT ? "Jit" : "Interpreter";
                         });

}  // namespace
