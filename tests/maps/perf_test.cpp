// SPDX-License-Identifier: MIT
// Perf event arrays: samples reach the application once, in each CPU's order, and what does not fit
// is counted.
#include "samples.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "object_test.hpp"

namespace {

constexpr __u64 kCurrent = 0xffffffff;
constexpr unsigned kPacket = 64;
constexpr int kNotSupported = 95;  // EOPNOTSUPP of Linux, which programs get on every system

struct Seen {
    std::map<int, std::vector<__u64>> numbers;  // by CPU
    std::map<int, __u64> lost;
    std::vector<std::string> bytes;

    __u64 samples() const {
        __u64 sum = 0;
        for (const auto& [cpu, of_cpu] : numbers) sum += of_cpu.size();
        return sum;
    }
    __u64 losses() const {
        __u64 sum = 0;
        for (const auto& [cpu, count] : lost) sum += count;
        return sum;
    }
};

void take_sample(void* context, int cpu, void* data, __u32 size) {
    auto& seen = *static_cast<Seen*>(context);
    sample one{};
    ASSERT_GE(size, sizeof one);
    std::memcpy(&one, data, sizeof one);
    EXPECT_EQ(one.cpu, static_cast<__u32>(cpu));
    seen.numbers[cpu].push_back(one.number);
    if (seen.bytes.size() < 4) seen.bytes.emplace_back(static_cast<const char*>(data), size);
}

void take_loss(void* context, int cpu, __u64 count) {
    static_cast<Seen*>(context)->lost[cpu] += count;
}

class Perf : public ObjectTest {
  protected:
    Perf() : ObjectTest("samples.o") {}
    void SetUp() override {
        ObjectTest::SetUp();
        if (!ready()) return;
        set(kCurrent);
    }

    void set(__u64 flags, bool oversized = false) const {
        const settings wanted{flags, oversized};
        const __u32 zero = 0;
        ASSERT_EQ(bpf_map_update_elem(map("settings"), &zero, &wanted, BPF_ANY), 0);
    }
    // What the program answered, the last time.
    int send(int repeat = 1) const {
        unsigned char packet[kPacket];
        std::memset(packet, 0x5a, sizeof packet);
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof packet,
                    .repeat = repeat);
        EXPECT_EQ(bpf_prog_test_run_opts(program("send"), &opts), 0) << std::strerror(errno);
        return static_cast<int>(opts.retval);
    }
    __u64 sent() const {
        std::vector<__u64> counts(static_cast<size_t>(libbpf_num_possible_cpus()));
        const __u32 zero = 0;
        EXPECT_EQ(bpf_map_lookup_elem(map("numbers"), &zero, counts.data()), 0);
        __u64 sum = 0;
        for (const __u64 count : counts) sum += count;
        return sum;
    }

    Seen seen_;
};

TEST_P(Perf, SamplesArriveWithThePacketTheyAskFor) {
    EXPECT_EQ(bpf_map__max_entries(bpf_object__find_map_by_name(object_, "samples")),
              static_cast<__u32>(libbpf_num_possible_cpus()));
    EXPECT_EQ(send(), ENOENT) << "no rings yet";
    perf_buffer* const pb =
        perf_buffer__new(map("samples"), 1, take_sample, take_loss, &seen_, nullptr);
    ASSERT_TRUE(pb) << std::strerror(errno);
    EXPECT_EQ(perf_buffer__buffer_cnt(pb), static_cast<size_t>(libbpf_num_possible_cpus()));
    EXPECT_EQ(perf_buffer__poll(pb, 0), 0);
    EXPECT_EQ(send(), 0);
    set(kCurrent | 10ull << 32);
    EXPECT_EQ(send(), 0);
    EXPECT_GE(perf_buffer__poll(pb, 1000), 1);
    EXPECT_EQ(seen_.samples(), 2u);
    EXPECT_EQ(seen_.losses(), 0u);
    ASSERT_EQ(seen_.bytes.size(), 2u);
    // Record sizes are multiples of 8 with 12 bytes before the sample, as on Linux.
    EXPECT_EQ(seen_.bytes[0].size(), 20u);
    EXPECT_EQ(seen_.bytes[0].substr(16), std::string(4, '\0'));
    EXPECT_EQ(seen_.bytes[1].size(), 28u);
    EXPECT_EQ(seen_.bytes[1].substr(16), std::string(10, 'Z') + std::string(2, '\0'));
    EXPECT_EQ(perf_buffer__poll(pb, 20), 0);
    perf_buffer__free(pb);
    EXPECT_EQ(send(), ENOENT) << "the rings are gone with their buffer";
}

TEST_P(Perf, WrongFlagsAreRefusedAsLinuxDoesIt) {
    perf_buffer* const pb =
        perf_buffer__new(map("samples"), 1, take_sample, take_loss, &seen_, nullptr);
    ASSERT_TRUE(pb);
    const auto answer = [this](__u64 flags) {
        set(flags);
        return send();
    };
    const auto cpus = static_cast<__u64>(libbpf_num_possible_cpus());
    EXPECT_EQ(answer(1ull << 52), EINVAL);
    EXPECT_EQ(answer(1ull << 63 | kCurrent), EINVAL);
    EXPECT_EQ(answer(kCurrent | __u64{kPacket} << 32), 0);
    EXPECT_EQ(answer(kCurrent | __u64{kPacket + 1} << 32), EFAULT);
    EXPECT_EQ(answer(cpus), E2BIG);
    EXPECT_EQ(answer(0xfffffffe), E2BIG);
    unsigned own = 0, others = 0;
    for (__u64 cpu = 0; cpu < cpus; ++cpu) {
        const int status = answer(cpu);
        own += status == 0;
        others += status == kNotSupported;
    }
    EXPECT_EQ(own + others, cpus);
    EXPECT_EQ(perf_buffer__consume(pb), 0);
    EXPECT_EQ(seen_.samples(), 1u + own);
    perf_buffer__free(pb);
}

TEST_P(Perf, WhatDoesNotFitIsCounted) {
    perf_buffer* const pb =
        perf_buffer__new(map("samples"), 1, take_sample, take_loss, &seen_, nullptr);
    ASSERT_TRUE(pb);
    set(kCurrent, true);  // larger than the ring: never fits
    EXPECT_EQ(send(3), ENOSPC);
    set(kCurrent);
    EXPECT_EQ(perf_buffer__poll(pb, 0), 1) << "a loss alone is news";
    EXPECT_EQ(seen_.losses(), 3u);
    EXPECT_EQ(seen_.samples(), 0u);
    EXPECT_EQ(send(1000), ENOSPC);
    EXPECT_EQ(perf_buffer__consume(pb), 0);
    EXPECT_GT(seen_.samples(), 80u);
    EXPECT_EQ(seen_.samples() + seen_.losses(), 1003u);
    perf_buffer__free(pb);
}

TEST_P(Perf, NothingIsLostSilentlyWhenTwoThreadsSend) {
    constexpr int kRuns = 400, kRepeat = 50;
    perf_buffer* const pb =
        perf_buffer__new(map("samples"), 2, take_sample, take_loss, &seen_, nullptr);
    ASSERT_TRUE(pb);
    std::atomic<int> running{2};
    const auto sender = [&] {
        for (int i = 0; i < kRuns; ++i) send(kRepeat);
        --running;
    };
    std::thread first(sender), second(sender);
    while (running != 0) EXPECT_GE(perf_buffer__poll(pb, 5), 0);
    first.join();
    second.join();
    EXPECT_EQ(perf_buffer__consume(pb), 0);
    EXPECT_EQ(sent(), __u64{2} * kRuns * kRepeat);
    EXPECT_EQ(seen_.samples() + seen_.losses(), sent());
    EXPECT_GT(seen_.samples(), 0u);
    for (const auto& [cpu, numbers] : seen_.numbers) {
        for (size_t i = 1; i < numbers.size(); ++i) ASSERT_LT(numbers[i - 1], numbers[i]) << cpu;
    }
    perf_buffer__free(pb);
}

// A buffer that waits is woken by a sample, from whatever CPU.
TEST_P(Perf, WaitingEndsWithASample) {
    perf_buffer* const pb =
        perf_buffer__new(map("samples"), 1, take_sample, take_loss, &seen_, nullptr);
    ASSERT_TRUE(pb);
    std::thread sender([this] {
        usleep(20'000);
        EXPECT_EQ(send(), 0);
    });
    EXPECT_EQ(perf_buffer__poll(pb, -1), 1);
    sender.join();
    EXPECT_EQ(seen_.samples(), 1u);
    perf_buffer__free(pb);
}

struct Raw {
    unsigned samples = 0;
    __u64 lost = 0;
    bpf_perf_event_ret answer = LIBBPF_PERF_EVENT_CONT;
};

bpf_perf_event_ret take_record(void* context, int, perf_event_header* header) {
    auto& raw = *static_cast<Raw*>(context);
    if (header->type == PERF_RECORD_SAMPLE) {
        EXPECT_EQ(header->size, 32) << "header, size, sample, padding";
        ++raw.samples;
    } else {
        EXPECT_EQ(header->type, static_cast<__u32>(PERF_RECORD_LOST));
        __u64 words[2];
        std::memcpy(words, header + 1, sizeof words);
        raw.lost += words[1];
    }
    return raw.answer;
}

TEST_P(Perf, RawBuffersSeeRecords) {
    perf_event_attr attr{};
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_BPF_OUTPUT;
    attr.sample_type = PERF_SAMPLE_RAW;
    attr.size = sizeof attr;
    Raw raw;
    perf_event_attr clock = attr;
    clock.config = PERF_COUNT_SW_CPU_CLOCK;
    errno = 0;
    EXPECT_FALSE(perf_buffer__new_raw(map("samples"), 1, &clock, take_record, &raw, nullptr));
    EXPECT_EQ(errno, EOPNOTSUPP);
    int cpus[] = {0}, keys[] = {1};
    LIBBPF_OPTS(perf_buffer_raw_opts, opts, .cpu_cnt = 1, .cpus = cpus, .map_keys = keys);
    EXPECT_FALSE(perf_buffer__new_raw(map("samples"), 1, &attr, take_record, &raw, &opts));
    EXPECT_EQ(errno, EOPNOTSUPP);
    perf_buffer* const pb =
        perf_buffer__new_raw(map("samples"), 1, &attr, take_record, &raw, nullptr);
    ASSERT_TRUE(pb) << std::strerror(errno);
    send(1000);
    EXPECT_EQ(perf_buffer__consume(pb), 0);
    EXPECT_EQ(raw.samples + raw.lost, 1000u);
    EXPECT_GT(raw.lost, 0u);
    raw.answer = LIBBPF_PERF_EVENT_ERROR;
    send(2);
    EXPECT_LT(perf_buffer__consume(pb), 0);
    raw.answer = LIBBPF_PERF_EVENT_CONT;
    EXPECT_EQ(perf_buffer__consume(pb), 0);
    EXPECT_EQ(raw.samples + raw.lost, 1002u) << "what a callback refused counts as taken";
    perf_buffer__free(pb);
}

TEST_P(Perf, BadArgumentsAreErrors) {
    const auto refused = [this](int fd, size_t pages) {
        errno = 0;
        perf_buffer* const pb =
            perf_buffer__new(fd, pages, take_sample, take_loss, &seen_, nullptr);
        EXPECT_FALSE(pb);
        perf_buffer__free(pb);
        return errno;
    };
    EXPECT_EQ(refused(map("samples"), 0), EINVAL);
    EXPECT_EQ(refused(map("samples"), 3), EINVAL);
    EXPECT_EQ(refused(map("samples"), size_t{1} << 52), EINVAL);
    EXPECT_EQ(refused(map("settings"), 1), EINVAL);
    EXPECT_NE(refused(9999, 1), 0);
    perf_buffer* const pb = perf_buffer__new(map("samples"), 1, nullptr, nullptr, nullptr, nullptr);
    ASSERT_TRUE(pb);
    send(1000);
    EXPECT_EQ(perf_buffer__consume(pb), 0) << "without callbacks";
    const size_t count = perf_buffer__buffer_cnt(pb);
    EXPECT_EQ(perf_buffer__consume_buffer(pb, count), -EINVAL);
    EXPECT_EQ(perf_buffer__buffer_fd(pb, count), -EINVAL);
    EXPECT_GE(perf_buffer__buffer_fd(pb, 0), 0);
    EXPECT_EQ(perf_buffer__epoll_fd(nullptr), -EINVAL);
    EXPECT_EQ(perf_buffer__poll(nullptr, 0), -EINVAL);
    // Operations on the map itself.
    const __u32 key = 0;
    __u32 value = 0;
    EXPECT_EQ(bpf_map_lookup_elem(map("samples"), &key, &value), -524);
    value = static_cast<__u32>(map("settings"));
    EXPECT_EQ(bpf_map_update_elem(map("samples"), &key, &value, BPF_ANY), -EBADF);
    EXPECT_EQ(bpf_map_delete_elem(map("samples"), &key), 0);
    EXPECT_EQ(bpf_map_delete_elem(map("samples"), &key), -ENOENT);
    perf_buffer__free(pb);
    perf_buffer__free(nullptr);
}

INSTANTIATE_TEST_SUITE_P(Engines, Perf, testing::Values(EBPF_ENGINE_JIT, EBPF_ENGINE_INTERPRETER),
                         [](const auto& each) {
                             return each.param == EBPF_ENGINE_JIT ? "Jit" : "Interpreter";
                         });

}  // namespace
