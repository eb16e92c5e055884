// SPDX-License-Identifier: MIT
// Records from the application reach programs, through libbpf's user_ring_buffer__*.
#include "user_ring.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "object_test.hpp"

namespace {

constexpr unsigned kSize = 4096;
constexpr __u64 kForceWakeup = 2;

class UserRing : public ObjectTest {
  protected:
    UserRing() : ObjectTest("user_ring.o") {}
    void SetUp() override {
        ObjectTest::SetUp();
        if (!ready()) return;
        ring_ = user_ring_buffer__new(map("records"), nullptr);
        ASSERT_TRUE(ring_) << std::strerror(errno);
    }
    void TearDown() override {
        user_ring_buffer__free(ring_);
        ObjectTest::TearDown();
    }

    void put(const std::string& text) const {
        void* const sample = user_ring_buffer__reserve(ring_, static_cast<__u32>(text.size()));
        ASSERT_TRUE(sample) << std::strerror(errno);
        std::memcpy(sample, text.data(), text.size());
        user_ring_buffer__submit(ring_, sample);
    }
    int drain(const order& asked = {}, const char* how = "drain") {
        const __u32 zero = 0;
        EXPECT_EQ(bpf_map_update_elem(map("orders"), &zero, &asked, BPF_ANY), 0);
        const kept none{};
        EXPECT_EQ(bpf_map_update_elem(map("keep"), &zero, &none, BPF_ANY), 0);
        unsigned char packet[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof packet);
        EXPECT_EQ(bpf_prog_test_run_opts(program(how), &opts), 0) << std::strerror(errno);
        EXPECT_EQ(bpf_map_lookup_elem(map("keep"), &zero, &kept_), 0);
        return static_cast<int>(opts.retval);
    }
    std::string prefix(unsigned n) const { return {kept_.prefixes[n], kPrefix}; }

    user_ring_buffer* ring_ = nullptr;
    kept kept_{};
};

TEST_P(UserRing, RecordsComeInOrderAndOnce) {
    EXPECT_EQ(drain(), 0);
    put("record 1");
    put("");
    put("record 3, longer");
    EXPECT_EQ(drain(), 3);
    EXPECT_EQ(kept_.count, 3u);
    EXPECT_EQ(kept_.sizes[0], 8u);
    EXPECT_EQ(kept_.sizes[1], 0u);
    EXPECT_EQ(kept_.sizes[2], 16u);
    EXPECT_EQ(prefix(0), "record 1");
    EXPECT_EQ(prefix(2), "record 3");
    EXPECT_EQ(kept_.write, 0) << "a program may write to a record, as on Linux";
    EXPECT_EQ(drain(), 0);
}

TEST_P(UserRing, DiscardedRecordsAreSkipped) {
    void* const first = user_ring_buffer__reserve(ring_, 8);
    void* const second = user_ring_buffer__reserve(ring_, 16);
    void* const third = user_ring_buffer__reserve(ring_, 24);
    user_ring_buffer__discard(ring_, second);
    EXPECT_EQ(drain(), 0) << "the first one is not finished";
    user_ring_buffer__submit(ring_, first);
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(kept_.sizes[0], 8u);
    user_ring_buffer__submit(ring_, third);
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(kept_.sizes[0], 24u);
}

TEST_P(UserRing, ManyRoundsWrap) {
    std::vector<std::string> texts;
    for (unsigned round = 0; round < 200; ++round) {
        texts.clear();
        for (unsigned i = 0; i < 1 + round % 7; ++i) {
            texts.push_back("n" + std::to_string(1000000 + round * 16 + i) +
                            std::string(round * 3 % 400, 'x'));
            put(texts.back());
        }
        ASSERT_EQ(drain(), static_cast<int>(texts.size()));
        for (unsigned i = 0; i < texts.size(); ++i) {
            ASSERT_EQ(kept_.sizes[i], texts[i].size());
            ASSERT_EQ(prefix(i), texts[i].substr(0, kPrefix));
        }
    }
}

TEST_P(UserRing, RoomIsWhatLinuxsProducerHas) {
    errno = 0;
    EXPECT_FALSE(user_ring_buffer__reserve(ring_, kSize - 7));
    EXPECT_EQ(errno, E2BIG);
    EXPECT_FALSE(user_ring_buffer__reserve(ring_, 0x80000000));
    EXPECT_EQ(errno, E2BIG);
    EXPECT_FALSE(user_ring_buffer__reserve(ring_, 0x40000000));
    EXPECT_EQ(errno, E2BIG);
    put(std::string(kSize - 8, 'w'));
    EXPECT_FALSE(user_ring_buffer__reserve(ring_, 0));
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_FALSE(user_ring_buffer__reserve_blocking(ring_, 8, 0));
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_FALSE(user_ring_buffer__reserve_blocking(ring_, 8, 20));
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_FALSE(user_ring_buffer__reserve_blocking(ring_, kSize, -1));
    EXPECT_EQ(errno, E2BIG);
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(kept_.sizes[0], kSize - 8);
}

TEST_P(UserRing, WhoWaitsGetsRoom) {
    for (const __u64 flags : {__u64{0}, kForceWakeup}) {
        put(std::string(kSize - 8, 'w'));
        std::thread consumer([&] {
            usleep(20'000);
            EXPECT_EQ(drain({.flags = flags}), 1);
        });
        void* const sample = user_ring_buffer__reserve_blocking(ring_, 8, -1);
        consumer.join();
        ASSERT_TRUE(sample);
        user_ring_buffer__discard(ring_, sample);
        EXPECT_EQ(drain(), 0);
    }
}

TEST_P(UserRing, FlagsStoppingAndNesting) {
    for (int i = 0; i < 4; ++i) put("a record");
    EXPECT_EQ(drain({.flags = 4}), -EINVAL);
    EXPECT_EQ(drain({.flags = 1ull << 63}), -EINVAL);
    EXPECT_EQ(kept_.count, 0u);
    EXPECT_EQ(drain({.stop_at = 3}), 3);
    EXPECT_EQ(drain({}, "drain_nested"), 1);
    EXPECT_EQ(kept_.nested, -EBUSY);
}

// The header of the record that was reserved says other things than reserving wrote.
TEST_P(UserRing, WrongHeadersAreErrors) {
    const auto forged = [this](__u32 header) {
        void* const sample = user_ring_buffer__reserve(ring_, 8);
        EXPECT_TRUE(sample);
        char* const place = static_cast<char*>(sample) - 8;
        std::memcpy(place, &header, sizeof header);
        const int answer = drain();
        const __u32 right = 8;
        std::memcpy(place, &right, sizeof right);
        EXPECT_EQ(drain(), 1);
        return answer;
    };
    EXPECT_EQ(forged(9), -EINVAL);
    EXPECT_EQ(forged(0x3fffffff), -EINVAL);
    EXPECT_EQ(forged(kSize), -EINVAL);
    EXPECT_EQ(forged(0x40000000 | 100), -EINVAL);
}

TEST_P(UserRing, EachDirectionHasItsFunctions) {
    errno = 0;
    EXPECT_FALSE(user_ring_buffer__new(map("other_direction"), nullptr));
    EXPECT_EQ(errno, EINVAL);
    EXPECT_FALSE(user_ring_buffer__new(map("orders"), nullptr));
    EXPECT_EQ(errno, EINVAL);
    EXPECT_FALSE(user_ring_buffer__new(-1, nullptr));
    const auto callback = [](void*, void*, size_t) { return 0; };
    errno = 0;
    EXPECT_FALSE(ring_buffer__new(map("records"), callback, nullptr, nullptr));
    EXPECT_EQ(errno, EINVAL);
    user_ring_buffer__free(nullptr);
}

INSTANTIATE_TEST_SUITE_P(Engines, UserRing,
                         testing::Values(EBPF_ENGINE_JIT, EBPF_ENGINE_INTERPRETER),
                         [](const auto& each) {
                             return each.param == EBPF_ENGINE_JIT ? "Jit" : "Interpreter";
                         });

}  // namespace
