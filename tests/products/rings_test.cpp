// SPDX-License-Identifier: MIT
//
// Rings in an application's event loop, in the embedded shape: descriptors that become readable,
// ring_buffer__epoll_fd(), and waiting for several rings at once. (tests/service has the same of
// the daemon's rings, tests/maps perf buffers.)
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <thread>

namespace {

bool readable(int descriptor, int timeout_ms = 0) {
    pollfd asked{.fd = descriptor, .events = POLLIN, .revents = 0};
    return poll(&asked, 1, timeout_ms) == 1 && (asked.revents & POLLIN) != 0;
}

// A ring buffer, and a program that writes `value` into it.
class Ring {
  public:
    explicit Ring(int value, int flags = 0)
        : map(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 4096, nullptr)) {
        // *(u64 *)(r10 - 8) = value; bpf_ringbuf_output(ring, r10 - 8, 8, flags); return 0
        const std::array<bpf_insn, 9> code = {{{0x7a, 10, 0, -8, value},
                                               {0x18, 1, 1, 0, map},
                                               {0, 0, 0, 0, 0},
                                               {0xbf, 2, 10, 0, 0},
                                               {0x07, 2, 0, 0, -8},
                                               {0xb7, 3, 0, 0, 8},
                                               {0xb7, 4, 0, 0, flags},
                                               {0x85, 0, 0, 0, 130},
                                               {0x95, 0, 0, 0, 0}}};
        program_ =
            bpf_prog_load(BPF_PROG_TYPE_XDP, "out", "GPL", code.data(), code.size(), nullptr);
        EXPECT_GE(map, 0);
        EXPECT_GE(program_, 0);
    }
    ~Ring() { close(program_), close(map); }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    void write(int records = 1) const {
        char packet[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof packet,
                    .repeat = records);
        EXPECT_EQ(bpf_prog_test_run_opts(program_, &run), 0);
    }

    const int map;

  private:
    int program_;
};

struct Taken {
    __u64 sum = 0;
    int records = 0;
    int enough = -1;  // records after which the callback ends with -7
};
int take(void* to, void* data, size_t) {
    auto& taken = *static_cast<Taken*>(to);
    taken.sum += *static_cast<__u64*>(data);
    return ++taken.records == taken.enough ? -7 : 0;
}

TEST(Rings, ADescriptorAndItsCopiesAreReadableUntilTheRingIsRead) {
    const Ring ring(5);
    Taken taken;
    ring_buffer* const reader = ring_buffer__new(ring.map, take, &taken, nullptr);
    ASSERT_NE(reader, nullptr);
    const int loop = ring_buffer__epoll_fd(reader), copy = dup(ring.map);
    ASSERT_GE(loop, 0);
    for (int round = 0; round < 20; ++round) {
        for (const int fd : {loop, ring.map, copy}) ASSERT_FALSE(readable(fd)) << round;
        ring.write(3);
        for (const int fd : {loop, ring.map, copy}) ASSERT_TRUE(readable(fd, 10'000)) << round;
        ASSERT_EQ(ring_buffer__consume(reader), 3);
    }
    EXPECT_EQ(taken.sum, 20u * 3 * 5);
    ring_buffer__free(reader);
    close(copy);
    EXPECT_EQ(ring_buffer__epoll_fd(nullptr), -EINVAL);
}

TEST(Rings, WhatIsLeftKeepsThemReadableAlsoForALaterDescriptor) {
    const Ring ring(5);
    Taken taken{.enough = 1};
    ring_buffer* const reader = ring_buffer__new(ring.map, take, &taken, nullptr);
    ASSERT_NE(reader, nullptr);
    ring.write(2);
    EXPECT_EQ(ring_buffer__poll(reader, 0), -7) << "the callback's";
    EXPECT_TRUE(readable(ring_buffer__epoll_fd(reader)));
    bpf_map_info info{};
    __u32 size = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(ring.map, &info, &size), 0);
    const int later = bpf_map_get_fd_by_id(info.id);
    ASSERT_GE(later, 0);
    EXPECT_TRUE(readable(later));
    EXPECT_EQ(ring_buffer__poll(reader, 0), 1);
    EXPECT_FALSE(readable(ring.map));
    ring.write();
    taken.enough = taken.records + 1;
    EXPECT_EQ(ring_buffer__poll(reader, 0), -7);
    EXPECT_FALSE(readable(ring.map)) << "it was the last one";
    ring_buffer__free(reader);
    close(later);
}

TEST(Rings, RecordsWithoutWakeUpAreLeftForTheNext) {
    const Ring quiet(1, BPF_RB_NO_WAKEUP), forced(1, BPF_RB_FORCE_WAKEUP);
    quiet.write();
    EXPECT_FALSE(readable(quiet.map));
    forced.write(2);
    EXPECT_TRUE(readable(forced.map));
}

// Each of two rings wakes the one thread that waits for both, at once.
TEST(Rings, SeveralAreWaitedForTogether) {
    const Ring one(1), two(100);
    Taken taken;
    ring_buffer* const reader = ring_buffer__new(one.map, take, &taken, nullptr);
    ASSERT_NE(reader, nullptr);
    ASSERT_EQ(ring_buffer__add(reader, two.map, take, &taken), 0);
    EXPECT_EQ(ring_buffer__add(reader, one.map, take, &taken), -EEXIST);
    constexpr int kRounds = 200;
    std::atomic<int> seen{0};
    std::thread writer([&] {
        for (int round = 0; round < kRounds; ++round) {
            (round % 2 != 0 ? one : two).write();
            while (seen <= round) std::this_thread::yield();
        }
    });
    while (seen < kRounds) {
        const int count = ring_buffer__poll(reader, 10'000);
        ASSERT_GT(count, 0);
        seen += count;
    }
    writer.join();
    EXPECT_EQ(taken.sum, kRounds / 2 * 101u);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(ring_buffer__poll(reader, 30), 0);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(29));
    ring_buffer__free(reader);
}

// How applications end their loops at control-C.
TEST(Rings, ASignalEndsAPoll) {
    const Ring ring(1);
    Taken taken;
    ring_buffer* const reader = ring_buffer__new(ring.map, take, &taken, nullptr);
    ASSERT_NE(reader, nullptr);
    struct sigaction note{}, before{};
    note.sa_handler = [](int) {};
    ASSERT_EQ(sigaction(SIGALRM, &note, &before), 0);
    const itimerval soon{.it_interval = {0, 20'000}, .it_value = {0, 20'000}};
    ASSERT_EQ(setitimer(ITIMER_REAL, &soon, nullptr), 0);
    EXPECT_EQ(ring_buffer__poll(reader, -1), -EINTR);
    const itimerval never{};
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before, nullptr);
    ring_buffer__free(reader);
}

ptrdiff_t open_descriptors() {
    const std::filesystem::directory_iterator entries("/proc/self/fd");
    return std::distance(begin(entries), end(entries));
}

TEST(Rings, NoDescriptorStays) {
    {
        const Ring warm_up(1);
    }
    close(bpf_map_create(BPF_MAP_TYPE_ARRAY, "sweep", 4, 4, 1, nullptr));
    const ptrdiff_t before = open_descriptors();
    for (int round = 0; round < 100; ++round) {
        const Ring ring(1);
        Taken taken;
        ring_buffer* const reader = ring_buffer__new(ring.map, take, &taken, nullptr);
        ASSERT_NE(reader, nullptr);
        ring.write();
        EXPECT_EQ(ring_buffer__poll(reader, 1000), 1);
        ring_buffer__free(reader);
    }
    close(bpf_map_create(BPF_MAP_TYPE_ARRAY, "sweep", 4, 4, 1, nullptr));
    EXPECT_LE(open_descriptors(), before + 1) << "the last one closed may still be swept";
}

}  // namespace
