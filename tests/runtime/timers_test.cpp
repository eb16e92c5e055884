// SPDX-License-Identifier: MIT
// The runtime's timers without programs: their order, their number, and memory that runs out. What
// programs see is in tests/maps.
#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "harness.hpp"

namespace ebpf::runtime::test {
namespace {

constexpr u32 kTimers = 2000;
constexpr u64 kMillisecond = 1'000'000;

// What the functions did, in their order.
struct Record {
    platform::SpinLock lock;
    std::vector<u32> keys;
    std::atomic<u32> count{0};
};
Record* record;

u64 note_key(u64, u64 key, u64, u64, u64, code::Invocation*) {
    u32 index;
    std::memcpy(&index, reinterpret_cast<const void*>(key), sizeof index);
    platform::LockGuard guard(record->lock);
    record->keys.push_back(index);
    record->count.fetch_add(1);
    return 0;
}

class TimerQueue : public Fixture {
  protected:
    void SetUp() override {
        Fixture::SetUp();
        record = &record_;
        record_.keys.reserve(kTimers);
        const i64 fd = create({.type = spec::MapType::Array, .value = 16, .entries = kTimers});
        ASSERT_GT(fd, 0);
        Object* object = runtime_->ids(ObjectKind::Map).find(1);
        ASSERT_NE(object, nullptr);
        release(*object);  // its handle keeps it
        map_ = static_cast<Map*>(object);
        map_->fields.timer = 0;
        ASSERT_TRUE(timers().open());
        ASSERT_TRUE(timers().open());
    }
    Timers& timers() { return runtime_->timers(); }
    void* field(u32 key) { return map_->ops->lookup(*map_, &key, 0); }
    Status make(u32 key) {
        EpochGuard guard(runtime_->epochs());
        TRY(timers().make(*map_, field(key), kClockMonotonic));
        return timers().set_function(field(key), program_, reinterpret_cast<u64>(&note_key));
    }
    Status start(u32 key, u64 due) {
        EpochGuard guard(runtime_->epochs());
        return timers().start(field(key), due, kTimerAbsolute);
    }
    bool cancel(u32 key) {
        EpochGuard guard(runtime_->epochs());
        const auto was = timers().cancel(field(key), guard.slot());
        return was && *was;
    }
    bool wait_for(u32 count) {
        for (int i = 0; i < 10'000 && record_.count < count; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return record_.count == count;
    }

    Record record_;
    Program program_;
    Map* map_ = nullptr;
};

TEST_F(TimerQueue, RingsInTheOrderOfTheirTimesAndOnce) {
    std::mt19937 random(5);
    const u64 soon = platform::monotonic_ns() + 1000 * kMillisecond;
    std::vector<u64> due(kTimers, 0);
    u32 wanted = 0;
    for (u32 key = 0; key < kTimers; ++key) {
        ASSERT_TRUE(make(key));
        due[key] = soon + random() % kMillisecond;
        ASSERT_TRUE(start(key, due[key]));
    }
    for (u32 n = 0; n < kTimers; ++n) {
        const u32 key = random() % kTimers;
        if (random() % 2 == 0) {
            EXPECT_EQ(cancel(key), due[key] != 0);
            due[key] = 0;
        } else if (due[key] != 0) {
            due[key] = soon + random() % kMillisecond;
            ASSERT_TRUE(start(key, due[key]));
        }
    }
    ASSERT_LT(platform::monotonic_ns(), soon) << "too slow a machine for this test";
    for (const u64 time : due) wanted += time != 0 ? 1 : 0;
    EXPECT_TRUE(wait_for(wanted)) << record_.count << " of " << wanted;
    EXPECT_TRUE(std::ranges::is_sorted(record_.keys, {}, [&](u32 key) { return due[key]; }));
    for (const u32 key : record_.keys) EXPECT_NE(due[key], 0u) << "cancelled";
    std::ranges::sort(record_.keys);
    EXPECT_EQ(std::ranges::adjacent_find(record_.keys), record_.keys.end());
}

TEST_F(TimerQueue, MemoryThatRunsOutIsReported) {
    ASSERT_TRUE(make(0));
    platform::set_allocation_hook([](std::size_t, void*) { return false; }, nullptr);
    const Status status = make(1);
    platform::set_allocation_hook(nullptr, nullptr);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::NoMemory);
    EXPECT_TRUE(make(1)) << "nothing half-done";
}

TEST_F(TimerQueue, ArmedTimersDoNotOutliveTheRuntime) {
    for (u32 key = 0; key < 100; ++key) {
        ASSERT_TRUE(make(key));
        ASSERT_TRUE(start(key, platform::monotonic_ns() + key * 1000));
    }
    // The fixture takes the runtime down and counts what is left.
}

}  // namespace
}  // namespace ebpf::runtime::test
