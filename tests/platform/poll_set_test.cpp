// SPDX-License-Identifier: MIT
#include "platform/poll_set.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "signal.hpp"

namespace ebpf::platform {
namespace {

using Outcome = PollSet::Outcome;

TEST(PollSet, WithoutMembersWaitsItsTime) {
    const auto set = PollSet::create();
    ASSERT_TRUE(set);
    EXPECT_EQ(set->wait(0), Outcome::TimeIsOver);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(set->wait(30), Outcome::TimeIsOver);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(20));
}

TEST(PollSet, IsReadableWhileAMemberIs) {
    auto set = PollSet::create();
    ASSERT_TRUE(set);
    Signal first, second;
    ASSERT_TRUE(set->add(first.native()));
    ASSERT_TRUE(set->add(second.native()));
    EXPECT_EQ(set->add(first.native()).error().code, Errc::ObjectAlreadyExists);
    EXPECT_EQ(set->wait(0), Outcome::TimeIsOver);
    for (int round = 0; round < 3; ++round) {
        second.set();
        EXPECT_EQ(set->wait(-1), Outcome::Readable);
        EXPECT_EQ(set->wait(0), Outcome::Readable) << "nobody took it";
        second.reset();
        EXPECT_EQ(set->wait(0), Outcome::TimeIsOver);
        EXPECT_EQ(set->wait(10), Outcome::TimeIsOver) << "what was is no news";
    }
}

TEST(PollSet, SetInAnotherThreadEndsAWait) {
    auto set = PollSet::create();
    ASSERT_TRUE(set);
    Signal signal;
    ASSERT_TRUE(set->add(signal.native()));
    for (int round = 0; round < 20; ++round) {
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(round % 4));
            signal.set();
        });
        EXPECT_EQ(set->wait(-1), Outcome::Readable);
        other.join();
        signal.reset();
    }
}

// More than one wait of Windows takes.
TEST(PollSet, HasManyMembers) {
    auto set = PollSet::create();
    ASSERT_TRUE(set);
    std::vector<std::unique_ptr<Signal>> signals;
    for (int i = 0; i < 150; ++i) {
        signals.push_back(std::make_unique<Signal>());
        ASSERT_TRUE(set->add(signals.back()->native())) << i;
    }
    EXPECT_EQ(set->wait(0), Outcome::TimeIsOver);
    for (const size_t i : {0u, 63u, 64u, 149u}) {
        std::thread other([&] { signals[i]->set(); });
        EXPECT_EQ(set->wait(10'000), Outcome::Readable) << i;
        other.join();
        signals[i]->reset();
    }
}

TEST(PollSet, TakesNothingElse) {
    auto set = PollSet::create();
    ASSERT_TRUE(set);
    EXPECT_EQ(set->add(123456).error().code, Errc::InvalidArgument);
}

}  // namespace
}  // namespace ebpf::platform
