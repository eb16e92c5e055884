// SPDX-License-Identifier: MIT
// User ring buffers: what an application may write there, whatever it is, leads to a record inside
// the ring or to an error.
#include <random>
#include <string>
#include <thread>

#include "ring_fixture.hpp"
#include "spec/ring_buffer.hpp"

namespace ebpf::runtime::test {
namespace {

using spec::ring::kBusy;
using spec::ring::kDiscarded;

class UserRing : public RingFixture {
  protected:
    UserRing() : RingFixture(spec::MapType::UserRingbuf) {}

    void write_header(u64 position, u32 header) {
        std::memcpy(data_ + (position & (size_ - 1)), &header, sizeof header);
    }
    void put(std::string_view text, u32 flags = 0) {
        const u64 at = *producer_;
        write_header(at, static_cast<u32>(text.size()) | flags);
        std::memcpy(data_ + ((at + 8) & (size_ - 1)), text.data(), text.size());
        *producer_ = at + spec::ring::record_bytes(text.size());
    }
    // The number of records, or the negative number of the error; `stop_at` records end it.
    i64 drain(u64 flags = 0, u64 stop_at = ~u64{0}) {
        struct Keep {
            UserRing& test;
            u64 stop_at;
            static bool take(void* self, std::byte* data, u32 size) {
                auto& keep = *static_cast<Keep*>(self);
                UserRing& test = keep.test;
                EXPECT_GE(data, test.data_);
                EXPECT_LE(data + size, test.data_ + 2 * test.size_);
                test.seen_.emplace_back(reinterpret_cast<const char*>(data), size);
                return test.seen_.size() < keep.stop_at;
            }
        } keep{*this, stop_at};
        seen_.clear();
        const Result<u64> drained = user_ring_drain(map(), flags, {&keep, &Keep::take});
        return drained ? static_cast<i64>(*drained) : failed(drained.error().code);
    }

    std::vector<std::string> seen_;
};

using Texts = std::vector<std::string>;

TEST_F(UserRing, RecordsComeInOrder) {
    EXPECT_EQ(drain(), 0);
    put("one");
    put("");
    put("dropped", kDiscarded);
    put("four");
    EXPECT_EQ(drain(), 3);
    EXPECT_EQ(seen_, (Texts{"one", "", "four"}));
    EXPECT_EQ(*consumer_, *producer_);
    EXPECT_EQ(drain(), 0);
}

TEST_F(UserRing, UnfinishedRecordsEndIt) {
    put("one");
    const u64 at = *producer_;
    put("two", kBusy);
    put("three");
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(*consumer_, at);
    write_header(at, 3);
    EXPECT_EQ(drain(), 2);
    EXPECT_EQ(seen_, (Texts{"two", "three"}));
    put("gone", kBusy | kDiscarded);
    EXPECT_EQ(drain(), 0) << "discarded counts more than busy, as on Linux";
    EXPECT_EQ(*consumer_, *producer_);
}

TEST_F(UserRing, TheTakerCanStop) {
    for (const char* text : {"a", "b", "c"}) put(text);
    EXPECT_EQ(drain(0, 2), 2);
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(seen_, Texts{"c"});
}

TEST_F(UserRing, RecordsCrossTheEnd) {
    const std::string half(kSize / 2 - 16, 'h'), crossing(kSize / 2, 'x');
    put(half);
    put(half);
    EXPECT_EQ(drain(), 2);
    const std::string text = "in one piece";
    write_header(*producer_, static_cast<u32>(kSize / 2));
    for (u64 i = 0; i < kSize / 2; ++i) {
        data_[(*producer_ + 8 + i) & (kSize - 1)] = std::byte{static_cast<u8>(text[i % 12])};
    }
    *producer_ += spec::ring::record_bytes(kSize / 2);
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(seen_[0].size(), kSize / 2);
    for (u64 i = 0; i < kSize / 2; ++i) ASSERT_EQ(seen_[0][i], text[i % 12]) << i;
}

TEST_F(UserRing, TheWholeRingIsOneRecord) {
    put(std::string(kSize - 8, 'w'));
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(seen_[0], std::string(kSize - 8, 'w'));
}

TEST_F(UserRing, PositionsThatCannotBe) {
    put("one");
    for (const u64 off : {1, 4, 7}) {
        *producer_ += off;
        EXPECT_EQ(drain(), failed(Errc::InvalidArgument)) << off;
        *producer_ -= off;
    }
    EXPECT_EQ(drain(), 1);
    const u64 right = *producer_;
    *producer_ = 0;
    EXPECT_EQ(drain(), 0) << "behind the consumer";
    *producer_ = right;
    // Far ahead: what is in the ring is read as records, none beyond it.
    std::memset(data_, 0xff, kSize);
    write_header(right, 40);
    *producer_ = ~u64{0} - 7;
    EXPECT_EQ(drain(), failed(Errc::TooLarge)) << "the second one";
    EXPECT_EQ(seen_.size(), 1u);
    EXPECT_EQ(*consumer_, right + 48);
}

TEST_F(UserRing, HeadersThatCannotBe) {
    put("12345678");
    const u64 end = *producer_;
    for (const u32 size : {9u, 16u, u32{kSize}, kDiscarded - 1}) {
        write_header(0, size);
        EXPECT_EQ(drain(), failed(Errc::InvalidArgument)) << "beyond the producer " << size;
        write_header(0, size | kDiscarded);
        EXPECT_EQ(drain(), failed(Errc::InvalidArgument)) << size;
        write_header(0, size | kBusy);
        EXPECT_EQ(drain(), failed(Errc::InvalidArgument)) << size;
    }
    *producer_ = u64{1} << 40;
    for (const u32 size : {u32{kSize} - 7, u32{kSize}, kDiscarded - 1}) {
        write_header(0, size);
        EXPECT_EQ(drain(), failed(Errc::TooLarge)) << "beyond the ring " << size;
        write_header(0, size | kDiscarded);
        EXPECT_EQ(drain(), failed(Errc::TooLarge)) << size;
    }
    EXPECT_EQ(*consumer_, 0u);
    *producer_ = end;
    write_header(0, 8);
    EXPECT_EQ(drain(), 1);
}

TEST_F(UserRing, TheConsumersPositionIsNotTaken) {
    put("one");
    *consumer_ = 0x1234;
    put("two");
    EXPECT_EQ(drain(), 2);
    EXPECT_EQ(seen_, (Texts{"one", "two"}));
    EXPECT_EQ(*consumer_, *producer_);
}

TEST_F(UserRing, RecordsLargerThanDynamicPointers) {
    close();
    open(u64{1} << 25);
    put(std::string((1 << 24) - 1, 'x'));
    EXPECT_EQ(drain(), 1);
    put(std::string(1 << 24, 'x'));
    EXPECT_EQ(drain(), failed(Errc::TooLarge));
}

TEST_F(UserRing, OneDrainLooksAtSoManyRecords) {
    close();
    open(u64{1} << 21);
    for (u64 i = 0; i < kMaxDrained + 3; ++i) put("", i % 2 == 0 ? kDiscarded : 0);
    EXPECT_EQ(drain(), static_cast<i64>(kMaxDrained / 2));
    EXPECT_EQ(drain(), 1);
}

TEST_F(UserRing, OneDrainsAtATime) {
    put("outer");
    struct Nested {
        Map& map;
        Errc second = Errc::Ok;
        static bool take(void* self, std::byte*, u32) {
            auto& nested = *static_cast<Nested*>(self);
            const Result<u64> again = user_ring_drain(nested.map, 0, {self, &Nested::take});
            nested.second = again ? Errc::Ok : again.error().code;
            return true;
        }
    } nested{map()};
    EXPECT_TRUE(user_ring_drain(map(), 0, {&nested, &Nested::take}));
    EXPECT_EQ(nested.second, Errc::Busy);
    put("after");
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(drain(4), failed(Errc::InvalidArgument));
}

TEST_F(UserRing, WaitingEndsWithADrain) {
    EXPECT_EQ(wait(0), 1) << "all of it is free";
    const auto check = [this](bool wakes, u64 flags, bool with_record) {
        put("x", kBusy);  // so that the ring is never empty
        if (with_record) write_header(*consumer_, 1);
        EXPECT_EQ(wait(0), 0);
        std::thread consumer([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            drain(flags);
        });
        EXPECT_EQ(wait(wakes ? 10'000 : 100), wakes ? 1 : 0) << flags << " " << with_record;
        consumer.join();
    };
    put("", kBusy);
    check(false, 0, false);  // nothing was drained
    check(true, 0, true);
    check(false, kRingNoWakeup, true);
    check(true, kRingForceWakeup, false);
}

// Positions and headers that are made up, most of them near what is right.
TEST_F(UserRing, WhateverIsWrittenStaysInside) {
    std::mt19937_64 random(1);
    u64 records = 0, errors = 0;
    for (int round = 0; round < 20'000; ++round) {
        for (int i = 0; i < 8; ++i) {
            const u64 at = random() % 4 != 0 ? *consumer_ + 8 * (random() % 16) : random();
            const u64 sizes[] = {random() % 64, random() % (2 * kSize), random(), kSize - 8};
            const u32 flags = static_cast<u32>(random() % 8 == 0 ? random() & 0xc0000000 : 0);
            write_header(at & ~u64{7}, static_cast<u32>(sizes[random() % 4]) | flags);
        }
        const u64 ahead[] = {8 * (random() % 64), random() % kSize, random()};
        *producer_ = *consumer_ + ahead[random() % 8 == 0 ? 2 : random() % 8 == 0];
        const u64 before = *consumer_;
        const i64 drained = drain(0, 64);
        records += drained > 0 ? static_cast<u64>(drained) : 0;
        errors += drained < 0;
        ASSERT_GE(*consumer_, before);
        ASSERT_EQ(*consumer_ % 8, 0u);
    }
    EXPECT_GT(records, 1000u);
    EXPECT_GT(errors, 1000u);
}

// A producer that changes headers and positions while they are read.
TEST_F(UserRing, WhoWritesMeanwhileChangesNothing) {
    std::atomic<bool> over{false};
    std::thread hostile([&] {
        std::mt19937_64 random(2);
        while (!over) {
            for (u64 at = 0; at < kSize; at += 8) {
                const u64 word = random() % 4 == 0 ? random() : random() % 128;
                std::atomic_ref(*reinterpret_cast<u32*>(data_ + at))
                    .store(static_cast<u32>(word), std::memory_order_relaxed);
            }
            std::atomic_ref(*producer_).store(random() & ~u64{7}, std::memory_order_relaxed);
        }
    });
    for (int i = 0; i < 2'000; ++i) drain(0, 100);
    over = true;
    hostile.join();
}

// Who serves applications gives them the producer's part for writing, and the other for reading.
TEST_F(UserRing, MemoryForOthers) {
    spec::MapMemoryAttr attr;
    attr.map_fd = static_cast<u32>(fd_);
    ASSERT_EQ(run(spec::Command::MapMemory, attr), 0);
    EXPECT_EQ(attr.address, reinterpret_cast<u64>(consumer_));
    EXPECT_EQ(attr.access, kMemoryRead);
    attr.part = 1;
    ASSERT_EQ(run(spec::Command::MapMemory, attr), 0);
    EXPECT_EQ(attr.address, reinterpret_cast<u64>(producer_));
    EXPECT_EQ(attr.size, platform::kPageSize + kSize);
    EXPECT_EQ(attr.access, kMemoryRead | kMemoryWrite);
}

}  // namespace
}  // namespace ebpf::runtime::test
