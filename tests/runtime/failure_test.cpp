// SPDX-License-Identifier: MIT
// Every allocation fails once, in turn: the command reports it, and nothing is left behind.
#include "harness.hpp"

namespace ebpf::runtime::test {
namespace {

struct Countdown {
    std::atomic<i64> left{0};
    std::atomic<u64> failed{0};
};

bool count_down(std::size_t, void* context) {
    auto& countdown = *static_cast<Countdown*>(context);
    if (countdown.left.fetch_sub(1) != 0) return true;
    countdown.failed.fetch_add(1);
    return false;
}

class Failures : public Fixture {
  protected:
    void SetUp() override { allocations_before_ = platform::allocations(); }

    // Runs `scenario` in a new runtime with the n-th allocation failing, for all n.
    template <typename Scenario>
    void with_each_allocation_failing(Scenario scenario) {
        for (i64 n = 0;; ++n) {
            start(2);
            Countdown countdown;
            countdown.left = n;
            platform::set_allocation_hook(count_down, &countdown);
            const bool succeeded = scenario();
            platform::set_allocation_hook(nullptr, nullptr);
            if (countdown.failed != 0) {
                EXPECT_FALSE(succeeded) << "allocation " << n;
                EXPECT_EQ(last_.code, Errc::NoMemory) << "allocation " << n;
            }
            stop();
            ASSERT_EQ(platform::allocations(), allocations_before_) << "allocation " << n;
            ASSERT_TRUE(hook_.bindings.empty()) << "allocation " << n;
            if (countdown.failed == 0) {
                EXPECT_TRUE(succeeded);
                EXPECT_GT(n, 0);
                return;
            }
            ASSERT_LT(n, 1000);
        }
    }
};

TEST_F(Failures, CreatingMaps) {
    for (const MapSpec& map :
         {MapSpec{.type = spec::MapType::Hash}, MapSpec{.type = spec::MapType::Array},
          MapSpec{.type = spec::MapType::Array, .flags = spec::kMapMmapable},
          MapSpec{.type = spec::MapType::PercpuArray}, MapSpec{.type = spec::MapType::PercpuHash},
          MapSpec{.type = spec::MapType::LruHash}, MapSpec{.type = spec::MapType::LruPercpuHash},
          MapSpec{.type = spec::MapType::LpmTrie, .key = 8, .flags = spec::kMapNoPrealloc},
          MapSpec{.type = spec::MapType::Queue, .key = 0},
          MapSpec{.type = spec::MapType::BloomFilter, .key = 0},
          MapSpec{.type = spec::MapType::ProgArray, .value = 4},
          MapSpec{.type = spec::MapType::PerfEventArray, .value = 4},
          MapSpec{.type = spec::MapType::Ringbuf, .key = 0, .value = 0, .entries = 65536}}) {
        with_each_allocation_failing([&] { return create(map) > 0; });
    }
}

class UpdateFailures : public Failures, public testing::WithParamInterface<spec::MapType> {};
INSTANTIATE_TEST_SUITE_P(Types, UpdateFailures,
                         testing::Values(spec::MapType::Hash, spec::MapType::PercpuHash,
                                         spec::MapType::LruHash, spec::MapType::LpmTrie));

TEST_P(UpdateFailures, AreReportedAndLeaveNothing) {
    const bool trie = GetParam() == spec::MapType::LpmTrie;
    with_each_allocation_failing([&] {
        const i64 fd = create({.type = GetParam(),
                               .key = trie ? 8u : 4u,
                               .entries = 3,
                               .flags = trie ? spec::kMapNoPrealloc : 0});
        if (fd <= 0) return false;
        u32 stored = 0;
        Error problem;
        // A trie's key is a length and the bits.
        const auto key_of = [&](u64 n) { return trie ? n << 32 | 32 : n; };
        const u64 value[2] = {1, 2};
        for (u64 n = 0; n < 3; ++n) {
            const u64 key = key_of(n);
            if (update(fd, &key, value) == 0) {
                ++stored;
            } else {
                problem = last_;
            }
        }
        // A failed update left no entry and took no room.
        u32 listed = 0;
        u64 key = 0;
        for (i64 s = next_key(fd, nullptr, &key); s == 0; s = next_key(fd, &key, &key)) ++listed;
        EXPECT_EQ(listed, stored);
        for (u64 again = 0; again < 3; ++again) {
            key = key_of(again);
            if (update(fd, &key, value) != 0) problem = last_;
        }
        last_ = problem;
        return problem.code == Errc::Ok;
    });
}

TEST_F(Failures, InstallingAttachingAndPinning) {
    for (const Engine engine : {Engine::Interpreter, Engine::Jit}) {
        with_each_allocation_failing([&] {
            const i64 array = create({.type = spec::MapType::ProgArray, .value = 4});
            if (array <= 0) return false;
            const i64 program = install(engine, {map_index(2, 0), mov(0, 1), exit()}, {array});
            if (program <= 0) return false;
            const u32 key = 0;
            const u32 fd = static_cast<u32>(program);
            if (update(array, &key, &fd) != 0) return false;
            if (attach(program) <= 0) return false;
            spec::ObjPinAttr pin;
            pin.bpf_fd = fd;
            pin.pathname = reinterpret_cast<u64>("/pin");
            if (run(spec::Command::ObjPin, pin) != 0) return false;
            spec::ProgBindMapAttr bind;
            bind.prog_fd = fd;
            bind.map_fd = static_cast<u32>(array);
            return run(spec::Command::ProgBindMap, bind) == 0;
        });
    }
}

TEST_F(Failures, StartingTheRuntime) {
    for (i64 n = 0;; ++n) {
        Countdown countdown;
        countdown.left = n;
        platform::set_allocation_hook(count_down, &countdown);
        const Result<Runtime*> runtime = Runtime::create({});
        void* session = nullptr;
        if (runtime) session = (*runtime)->door().open_session(*runtime);
        platform::set_allocation_hook(nullptr, nullptr);
        EXPECT_EQ(runtime && session != nullptr, countdown.failed == 0) << n;
        if (runtime) {
            Runtime::destroy(*runtime);
        } else {
            EXPECT_EQ(runtime.error().code, Errc::NoMemory);
        }
        ASSERT_EQ(platform::allocations(), allocations_before_) << n;
        if (countdown.failed == 0) return;
    }
}

}  // namespace
}  // namespace ebpf::runtime::test
