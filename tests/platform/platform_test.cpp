// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "platform/alarm.hpp"
#include "platform/lock.hpp"
#include "platform/memory.hpp"
#include "platform/system.hpp"

namespace ebpf::platform {
namespace {

TEST(Memory, IsZeroedAlignedAndCounted) {
    const u64 before = allocations();
    std::vector<void*> blocks;
    for (const std::size_t size : {1u, 16u, 100u, 4096u, 1u << 20}) {
        auto* block = static_cast<unsigned char*>(allocate(size));
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(reinterpret_cast<u64>(block) % 16, 0u);
        for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(block[i], 0) << i << " of " << size;
        std::memset(block, 0xa5, size);
        blocks.push_back(block);
    }
    EXPECT_EQ(allocations(), before + 5);
    for (void* block : blocks) release(block);
    release(nullptr);
    EXPECT_EQ(allocations(), before);
}

TEST(Memory, HookMakesAllocationsFail) {
    std::size_t asked = 0;
    set_allocation_hook(
        [](std::size_t size, void* context) {
            *static_cast<std::size_t*>(context) = size;
            return false;
        },
        &asked);
    EXPECT_EQ(allocate(48), nullptr);
    EXPECT_EQ(asked, 48u);
    EXPECT_EQ(CodePages::create(100).error().code, Errc::NoMemory);
    EXPECT_EQ(create_ring(65536).error().code, Errc::NoMemory);
    set_allocation_hook(nullptr, nullptr);
    void* block = allocate(48);
    EXPECT_NE(block, nullptr);
    release(block);
}

TEST(CodePages, AreWritableUntilSealedAndThenNot) {
    EXPECT_EQ(CodePages::create(0).error().code, Errc::InvalidArgument);
    Result<CodePages> pages = CodePages::create(5000);
    ASSERT_TRUE(pages);
    const MutableBytes text = pages->writable();
    ASSERT_GE(text.size(), 5000u);
    std::memset(text.data(), 0x90, text.size());
    EXPECT_EQ(pages->address(), static_cast<const void*>(text.data()));
    ASSERT_TRUE(pages->seal());
    EXPECT_EQ(text[4999], std::byte{0x90});
    EXPECT_DEATH(*static_cast<volatile char*>(const_cast<void*>(pages->address())) = 1, "");
}

TEST(Ring, DataIsMappedTwiceInARow) {
    constexpr std::size_t kSize = 65536;
    const Result<RingMemory> ring = create_ring(kSize);
    ASSERT_TRUE(ring);
    EXPECT_EQ(ring->consumer() - ring->base, kPageSize);
    EXPECT_EQ(ring->producer() - ring->consumer(), kPageSize);
    EXPECT_EQ(ring->data() - ring->producer(), kPageSize);
    const char text[] = "across the end";
    std::memcpy(ring->data() + kSize - 6, text, sizeof text);
    EXPECT_EQ(std::memcmp(ring->data() + kSize - 6, "across", 6), 0);
    EXPECT_EQ(std::memcmp(ring->data(), " the end", 8), 0);
    std::memset(ring->base, 1, kPageSize);
    EXPECT_EQ(ring->consumer()[0], std::byte{0});
    destroy_ring(*ring);
    EXPECT_EQ(create_ring(0).error().code, Errc::InvalidArgument);
    EXPECT_EQ(create_ring(100).error().code, Errc::InvalidArgument);
}

TEST(Irql, IsRaisedByLocksAndPutBack) {
    EXPECT_EQ(current_irql(), Irql::Passive);
    SpinLock outer;
    SpinLock inner;
    {
        LockGuard a(outer);
        EXPECT_EQ(current_irql(), Irql::Dispatch);
        {
            LockGuard b(inner);
        }
        EXPECT_EQ(current_irql(), Irql::Dispatch);
    }
    EXPECT_EQ(current_irql(), Irql::Passive);
    std::thread([] { EXPECT_EQ(current_irql(), Irql::Passive); }).join();
}

TEST(IrqlDeathTest, WaitingAndPagesAreForPassive) {
    EXPECT_DEATH(
        {
            raise_to_dispatch();
            Event event;
            event.wait(event.ticket(), 0);
        },
        "Event::wait called at interrupt level 2");
    EXPECT_DEATH(
        {
            raise_to_dispatch();
            (void)CodePages::create(100);
        },
        "CodePages::create called at interrupt level 2");
    EXPECT_DEATH(
        {
            raise_to_dispatch();
            (void)create_ring(65536);
        },
        "create_ring called at interrupt level 2");
}

TEST(Lock, ExcludesOthers) {
    SpinLock lock;
    u64 counter = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 20000; ++i) {
                LockGuard guard(lock);
                ++counter;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(counter, 80000u);
}

TEST(Event, TicketsMissNoSignal) {
    Event event;
    const u32 ticket = event.ticket();
    event.signal();
    EXPECT_TRUE(event.wait(ticket, 0));
    EXPECT_FALSE(event.wait(event.ticket(), 0));
    const u64 start = monotonic_ns();
    EXPECT_FALSE(event.wait(event.ticket(), 20));
    EXPECT_GE(monotonic_ns() - start, 20'000'000u);

    std::atomic<int> woken{0};
    std::vector<std::thread> threads;
    const u32 before = event.ticket();
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] { woken += event.wait(before, -1) ? 1 : 0; });
    }
    event.signal();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(woken, 3);
}

TEST(Alarm, RingsOnceForTheLastTimeThatWasSet) {
    struct Rings {
        std::atomic<int> count{0};
        std::atomic<u64> at{0};
    } rings;
    const auto wait_for = [&rings](int count) {
        for (int i = 0; i < 10'000 && rings.count < count; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return rings.count.load();
    };
    constexpr u64 kMillisecond = 1'000'000;
    Alarm alarm;
    alarm.close();
    ASSERT_TRUE(alarm.open(
        [](void* self) {
            auto& heard = *static_cast<Rings*>(self);
            heard.at = monotonic_ns();
            heard.count += 1;
        },
        &rings));
    alarm.set(0);
    EXPECT_EQ(wait_for(1), 1);
    alarm.set(~u64{0});
    const u64 due = monotonic_ns() + 20 * kMillisecond;
    alarm.set(due);
    EXPECT_EQ(wait_for(2), 2);
    EXPECT_GE(rings.at, due);
    alarm.set(monotonic_ns() + 3'600'000 * kMillisecond);
    alarm.close();
    EXPECT_EQ(rings.count, 2);
    ASSERT_TRUE(alarm.open([](void*) {}, nullptr));
    alarm.set(monotonic_ns());
    alarm.close();
}

TEST(System, TimeCpusRandom) {
    const u64 a = monotonic_ns();
    const u64 b = monotonic_ns();
    EXPECT_LE(a, b);
    EXPECT_GT(boot_ns() + 1'000'000, b);
    EXPECT_GE(possible_cpus(), 1u);
    EXPECT_LT(current_cpu(), possible_cpus());
    std::byte first[32] = {};
    std::byte second[32] = {};
    fill_random(first);
    fill_random(second);
    EXPECT_NE(std::memcmp(first, second, sizeof first), 0);
    const u64 here = current_process_and_thread();
    u64 there = 0;
    std::thread([&] { there = current_process_and_thread(); }).join();
    EXPECT_EQ(here >> 32, there >> 32);
    EXPECT_NE(here, there);
}

TEST(ThreadWord, IsPerThread) {
    thread_word().held.slot = 7;
    std::thread([] { EXPECT_EQ(thread_word().held.slot, 0u); }).join();
    EXPECT_EQ(thread_word().held.slot, 7u);
    thread_word().held.slot = 0;
}

TEST(Barrier, IsThereAlwaysOrNever) {
    const bool there = barrier_in_all_threads();
    std::thread([&] { EXPECT_EQ(barrier_in_all_threads(), there); }).join();
    EXPECT_EQ(barrier_in_all_threads(), there);
}

}  // namespace
}  // namespace ebpf::platform
