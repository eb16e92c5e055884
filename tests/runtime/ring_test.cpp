// SPDX-License-Identifier: MIT
#include <thread>

#include "ring_fixture.hpp"

namespace ebpf::runtime::test {
namespace {

constexpr u32 kBusy = 1u << 31;
constexpr u32 kDiscarded = 1u << 30;

class RingBuffer : public RingFixture {
  protected:
    RingBuffer() : RingFixture(spec::MapType::Ringbuf) {}

    u32 header(u64 position) const {
        u32 length;
        std::memcpy(&length, data_ + (position & (kSize - 1)), 4);
        return length;
    }
};

TEST_F(RingBuffer, RecordsHaveLinuxsLayout) {
    void* record = ring_reserve(map(), 13);
    ASSERT_EQ(record, data_ + 8);
    EXPECT_EQ(header(0), 13 | kBusy);
    u32 pages;
    std::memcpy(&pages, data_ + 4, 4);
    EXPECT_EQ(pages, 3u) << "pages from the ring's start to the record's, as Linux has it";
    EXPECT_EQ(*producer_, 24u) << "header and data, padded to 8";
    std::memcpy(record, "thirteen char", 13);
    ring_commit(record, 0, false);
    EXPECT_EQ(header(0), 13u);
    record = ring_reserve(map(), 8);
    ring_commit(record, 0, true);
    EXPECT_EQ(header(24), 8 | kDiscarded);
    EXPECT_EQ(ring_query(map(), 0), 40u);  // available
    EXPECT_EQ(ring_query(map(), 1), kSize);
    EXPECT_EQ(ring_query(map(), 2), 0u);   // consumer
    EXPECT_EQ(ring_query(map(), 3), 40u);  // producer
    EXPECT_EQ(ring_query(map(), 4), 0u);
    *consumer_ = 24;
    EXPECT_EQ(ring_query(map(), 0), 16u);
}

TEST_F(RingBuffer, FullMeansNoRecord) {
    EXPECT_EQ(ring_reserve(map(), kSize), nullptr);
    EXPECT_EQ(ring_reserve(map(), kSize - 8), nullptr) << "one byte always stays free";
    EXPECT_EQ(ring_reserve(map(), u64{1} << 30), nullptr);
    EXPECT_EQ(ring_reserve(map(), ~u64{0}), nullptr);
    void* record = ring_reserve(map(), kSize - 16);
    ASSERT_NE(record, nullptr);
    ring_commit(record, 0, false);
    EXPECT_EQ(ring_output(map(), "x", 1, 0).error().code, Errc::Again);
    EXPECT_EQ(ring_output(map(), "x", 1, 4).error().code, Errc::InvalidArgument);
    *consumer_ = *producer_;
    // The next record's data crosses the end of the ring and is in one piece all the same.
    ASSERT_TRUE(ring_output(map(), "0123456789", 10, 0));
    EXPECT_EQ(std::memcmp(data_ + kSize, "0123456789", 10), 0);
    EXPECT_EQ(std::memcmp(data_, "0123456789", 10), 0);
}

// A consumer that lies about its position gets nonsense, but no record is handed out over one that
// a program still writes: its header, which leads back to the ring, would be the program's data.
TEST_F(RingBuffer, LyingConsumerGetsNoOverlappingRecords) {
    void* first = ring_reserve(map(), kSize / 2);
    ASSERT_NE(first, nullptr);
    *consumer_ = kSize / 2 + 16;
    EXPECT_EQ(ring_reserve(map(), kSize / 2), nullptr);
    ring_commit(first, 0, false);
    void* second = ring_reserve(map(), kSize / 2);
    EXPECT_NE(second, nullptr);
    ring_commit(second, 0, false);
    *consumer_ = ~u64{0} / 2;
    EXPECT_EQ(ring_reserve(map(), 8), nullptr);
}

TEST_F(RingBuffer, WaitingEndsWithARecord) {
    EXPECT_EQ(wait(0), 0);
    const u64 start = platform::monotonic_ns();
    EXPECT_EQ(wait(10), 0);
    EXPECT_GE(platform::monotonic_ns() - start, 10'000'000u);
    void* record = ring_reserve(map(), 8);
    EXPECT_EQ(wait(0), 0) << "a record under way is no data yet";
    std::thread producer([&] { ring_commit(record, 0, false); });
    EXPECT_EQ(wait(10'000), 1);
    producer.join();
    EXPECT_EQ(wait(0), 1);
    *consumer_ = *producer_;
    EXPECT_EQ(wait(0), 0);
}

TEST_F(RingBuffer, NotAllMapsAreRings) {
    const i64 hash = create({.type = spec::MapType::Hash});
    spec::RingMapAttr attr;
    attr.map_fd = static_cast<u32>(hash);
    EXPECT_EQ(run(spec::Command::RingMap, attr), failed(Errc::InvalidArgument));
    attr.map_fd = static_cast<u32>(fd_);
    attr.index = 1;
    EXPECT_EQ(run(spec::Command::RingMap, attr), failed(Errc::InvalidArgument));
    const u32 key = 0;
    u32 next = 0;
    EXPECT_EQ(update(fd_, nullptr, &key), failed(Errc::NotForThisType));
    EXPECT_EQ(next_key(fd_, nullptr, &next), failed(Errc::NotForThisType));
}

// Who serves applications gets the pages: the consumer's page for writing, the rest for reading.
TEST_F(RingBuffer, MemoryForOthers) {
    spec::MapMemoryAttr attr;
    attr.map_fd = static_cast<u32>(fd_);
    spec::Caller user = caller();
    user.privileged = false;
    EXPECT_EQ(run_as(user, spec::Command::MapMemory, attr), failed(Errc::AccessDenied));
    ASSERT_EQ(run(spec::Command::MapMemory, attr), 0);
    EXPECT_EQ(attr.address, reinterpret_cast<u64>(consumer_));
    EXPECT_EQ(attr.size, platform::kPageSize);
    EXPECT_EQ(attr.access, kMemoryRead | kMemoryWrite);
    attr.part = 1;
    ASSERT_EQ(run(spec::Command::MapMemory, attr), 0);
    EXPECT_EQ(attr.address, reinterpret_cast<u64>(producer_));
    EXPECT_EQ(attr.size, platform::kPageSize + kSize);
    EXPECT_EQ(attr.access, kMemoryRead);
    attr.part = 2;
    EXPECT_EQ(run(spec::Command::MapMemory, attr), failed(Errc::NotForThisType));
}

}  // namespace
}  // namespace ebpf::runtime::test
