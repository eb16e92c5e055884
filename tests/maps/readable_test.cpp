// SPDX-License-Identifier: MIT
// Descriptors that are readable while there is something to read, for loops that wait for more.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "object_test.hpp"
#include "samples.h"

namespace {

class Readable : public ObjectTest {
  protected:
    Readable() : ObjectTest("samples.o") {}
};

TEST_P(Readable, PerfBuffersWhileThereAreSamples) {
    constexpr __u64 kCurrent = 0xffffffff;
    const settings wanted{kCurrent, false};
    const __u32 zero = 0;
    ASSERT_EQ(bpf_map_update_elem(map("settings"), &zero, &wanted, BPF_ANY), 0);
    perf_buffer* const pb = perf_buffer__new(map("samples"), 1, nullptr, nullptr, nullptr, nullptr);
    ASSERT_TRUE(pb);
    pollfd loop{.fd = perf_buffer__epoll_fd(pb), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&loop, 1, 0), 0);
    unsigned char packet[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof packet);
    EXPECT_EQ(bpf_prog_test_run_opts(program("send"), &opts), 0);
    EXPECT_EQ(poll(&loop, 1, 10'000), 1);
    EXPECT_GE(perf_buffer__poll(pb, 1000), 1);
    EXPECT_EQ(poll(&loop, 1, 0), 0) << "all was read";
    perf_buffer__free(pb);
}

INSTANTIATE_TEST_SUITE_P(Engines, Readable,
                         testing::Values(EBPF_ENGINE_JIT, EBPF_ENGINE_INTERPRETER),
                         [](const auto& each) {
                             return each.param == EBPF_ENGINE_JIT ? "Jit" : "Interpreter";
                         });

}  // namespace
