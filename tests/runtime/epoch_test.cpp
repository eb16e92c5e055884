// SPDX-License-Identifier: MIT
#include <thread>

#include "harness.hpp"

namespace ebpf::runtime::test {
namespace {

struct Item : Retired {
    bool gone = false;
    Item() {
        destroy = [](Retired* self) { static_cast<Item*>(self)->gone = true; };
    }
};

class EpochTest : public testing::Test {
  protected:
    void start(u32 slots) { ASSERT_TRUE(epochs_.initialize(slots)); }
    Epochs epochs_;
};

TEST_F(EpochTest, NothingGoesWhileAReaderIsIn) {
    start(2);
    Item before;
    Item after;
    {
        EpochGuard guard(epochs_);
        ASSERT_TRUE(guard.status());
        epochs_.retire(&before);
        epochs_.collect();
        EXPECT_FALSE(before.gone);
        std::thread([&] {
            // A reader that came later holds up nothing that was retired before it.
            EpochGuard other(epochs_);
            epochs_.retire(&after);
            epochs_.collect();
            EXPECT_FALSE(before.gone);
        }).join();
        EXPECT_TRUE(epochs_.has_retired());
    }
    epochs_.collect();
    EXPECT_TRUE(before.gone);
    EXPECT_TRUE(after.gone);
    EXPECT_FALSE(epochs_.has_retired());
}

TEST_F(EpochTest, WhatNeedsPassiveWaitsForIt) {
    start(1);
    Item item;
    Item pages;
    pages.at_passive = true;
    epochs_.retire(&pages);
    epochs_.retire(&item);
    const platform::Irql before = platform::raise_to_dispatch();
    epochs_.collect();
    EXPECT_TRUE(item.gone);
    EXPECT_FALSE(pages.gone);
    EXPECT_TRUE(epochs_.has_retired());
    platform::lower_irql(before);
    epochs_.collect();
    EXPECT_TRUE(pages.gone);
    EXPECT_FALSE(epochs_.has_retired());
}

TEST_F(EpochTest, ManyRetiredItemsGoWithoutBeingAskedFor) {
    start(1);
    std::vector<Item> items(1000);
    u32 gone = 0;
    for (Item& item : items) {
        epochs_.retire(&item);
    }
    for (const Item& item : items) gone += item.gone ? 1 : 0;
    EXPECT_GE(gone, 800u);
    epochs_.collect();
    for (const Item& item : items) ASSERT_TRUE(item.gone);
}

TEST_F(EpochTest, NestedEntriesShareTheSlotToALimit) {
    start(1);
    Epochs::Entry entries[Epochs::kMaxDepth + 1];
    for (u32 i = 0; i < Epochs::kMaxDepth; ++i) {
        ASSERT_TRUE(epochs_.enter(entries[i])) << i;
        EXPECT_EQ(entries[i].slot, 0u);
    }
    EXPECT_EQ(epochs_.enter(entries[Epochs::kMaxDepth]).error().code, Errc::Busy);
    EXPECT_EQ(platform::current_irql(), platform::Irql::Dispatch);
    Item item;
    epochs_.retire(&item);
    for (u32 i = Epochs::kMaxDepth; i-- > 0;) {
        epochs_.collect();
        EXPECT_FALSE(item.gone);
        epochs_.leave(entries[i]);
    }
    EXPECT_EQ(platform::current_irql(), platform::Irql::Passive);
    epochs_.collect();
    EXPECT_TRUE(item.gone);
}

TEST_F(EpochTest, WaitingForASlotIsCounted) {
    start(1);
    std::atomic<bool> entered{false};
    std::thread thread;
    {
        EpochGuard guard(epochs_);
        thread = std::thread([&] {
            EpochGuard other(epochs_);
            EXPECT_TRUE(other.status());
            entered = true;
        });
        while (epochs_.waits() == 0) std::this_thread::yield();
        EXPECT_FALSE(entered);
    }
    thread.join();
    EXPECT_TRUE(entered);
    EXPECT_EQ(epochs_.waits(), 1u);
}

TEST_F(EpochTest, TwoRuntimesInOneThread) {
    start(1);
    Epochs second;
    ASSERT_TRUE(second.initialize(1));
    {
        EpochGuard a(epochs_);
        EpochGuard b(second);
        ASSERT_TRUE(b.status());
        // Back in the first, whose only slot the thread holds: an error in bounded time.
        const u64 begin = platform::monotonic_ns();
        EpochGuard c(epochs_);
        ASSERT_FALSE(c.status());
        EXPECT_EQ(c.status().error().code, Errc::Busy);
        EXPECT_LT(platform::monotonic_ns() - begin, 10'000'000'000u);
    }
    EpochGuard again(epochs_);
    EXPECT_TRUE(again.status());
}

TEST_F(EpochTest, SynchronizeWaitsForReaders) {
    start(2);
    std::atomic<int> stage{0};
    std::thread reader([&] {
        EpochGuard guard(epochs_);
        stage = 1;
        while (stage != 2) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        stage = 3;
    });
    while (stage != 1) std::this_thread::yield();
    stage = 2;
    epochs_.synchronize();
    EXPECT_EQ(stage, 3);
    reader.join();
}

}  // namespace
}  // namespace ebpf::runtime::test
