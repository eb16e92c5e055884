// SPDX-License-Identifier: MIT
// Linux's kernel functions in programs from C, in both engines.
#include "kfuncs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstring>
#include <numeric>
#include <vector>

#include "object_test.hpp"

namespace {

class Kfuncs : public ObjectTest {
  protected:
    Kfuncs() : ObjectTest("kfuncs.o") {}

    // Runs the program over `packet`, which becomes what it left; its verdict.
    __u32 run(const char* name, std::vector<unsigned char>& packet) {
        std::vector<unsigned char> out(packet.size());
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet.data(), .data_out = out.data(),
                    .data_size_in = static_cast<__u32>(packet.size()),
                    .data_size_out = static_cast<__u32>(out.size()));
        EXPECT_EQ(bpf_prog_test_run_opts(program(name), &opts), 0) << std::strerror(errno);
        out.resize(opts.data_size_out);
        packet = out;
        const __u32 key = 0;
        EXPECT_EQ(bpf_map_lookup_elem(map("findings"), &key, &found_), 0);
        return opts.retval;
    }

    kfuncs_findings found_{};
};

TEST_P(Kfuncs, Loops) {
    std::vector<unsigned char> packet(64);
    EXPECT_EQ(run("loops", packet), XDP_PASS);
    EXPECT_EQ(found_.sum, -3 - 2 - 1 + 0 + 1 + 2 + 3 + 4);
    EXPECT_EQ(found_.pairs, 7);  // 4 + 3, where it breaks off
    EXPECT_EQ(found_.repeated, 1000);
    EXPECT_EQ(found_.nothing, 0) << "empty, backwards, or more than there may be";
    EXPECT_EQ(found_.exists, 1);
    EXPECT_EQ(found_.exists_not, 0);
}

TEST_P(Kfuncs, Packet) {
    constexpr std::size_t kEthernet = 14, kIp = 24, kPayload = 30;
    std::vector<unsigned char> packet(kEthernet + kIp + kPayload);
    std::iota(packet.begin(), packet.end(), 1);
    packet[12] = 8, packet[13] = 0, packet[14] = 0x46, packet[22] = 64;
    const auto payload = packet.begin() + kEthernet + kIp;
    const long sum = std::accumulate(payload, packet.end(), 0L);

    EXPECT_EQ(run("packet", packet), XDP_TX);
    EXPECT_EQ(found_.size, static_cast<long>(kEthernet + kIp + kPayload));
    EXPECT_EQ(found_.rest, static_cast<long>(kPayload));
    EXPECT_EQ(found_.sum, sum);
    EXPECT_EQ(found_.beyond, 0);
    EXPECT_EQ(found_.adjusted, -ERANGE);
    EXPECT_EQ(found_.flags, -EINVAL);
    EXPECT_EQ(found_.null, 1);
    EXPECT_EQ(found_.cut, -EINVAL);
    ASSERT_EQ(packet.size(), kEthernet + kIp + kPayload - 4);
    EXPECT_EQ(packet[22], 63);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(packet[static_cast<std::size_t>(i)], 0xee) << i;
    EXPECT_EQ(packet[6], 7);
}

INSTANTIATE_TEST_SUITE_P(Engines, Kfuncs, testing::Values(EBPF_ENGINE_INTERPRETER, EBPF_ENGINE_JIT),
                         [](const auto& engine) {
                             return engine.param == EBPF_ENGINE_JIT ? "Jit" : "Interpreter";
                         });

}  // namespace
