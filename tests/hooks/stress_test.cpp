// SPDX-License-Identifier: MIT
//
// Programs come and go at an interface while another thread feeds it packets: each packet gets one
// of the verdicts that were possible at its time, and nothing is used after its end.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

namespace {

constexpr int kInterface = 77;

// r0 = verdict; exit
int load(int verdict) {
    const bpf_insn insns[] = {{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = verdict},
                              {.code = 0x95, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "verdict", "GPL", insns, 2, nullptr);
}

ebpf_capture* zeros(__u32 packets) {
    const std::string path =
        testing::TempDir() + "casement_hooks" + std::to_string(getpid()) + ".pcap";
    {
        std::ofstream out(path, std::ios::binary);
        const __u32 header[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
        out.write(reinterpret_cast<const char*>(header), sizeof header);
        const __u32 packet[4 + 15] = {0, 0, 60, 60};
        for (__u32 i = 0; i < packets; ++i)
            out.write(reinterpret_cast<const char*>(packet), sizeof packet);
    }
    ebpf_capture* const capture = ebpf_capture__open(path.c_str());
    std::remove(path.c_str());
    return capture;
}

TEST(XdpHookStressTest, AttachReplaceAndDetachUnderTraffic) {
    ebpf_capture* const capture = zeros(64);
    ASSERT_NE(capture, nullptr);
    std::atomic<bool> stop{false};
    ebpf_replay_result total{};
    int status = 0;
    std::thread feeder([&] {
        while (!stop && status == 0) {
            ebpf_replay_result part{};
            status = ebpf_capture__replay(capture, kInterface, nullptr, &part);
            total.packets += part.packets;
            for (int i = 0; i < 5; ++i) total.verdicts[i] += part.verdicts[i];
        }
    });

    for (int round = 0; round < 200; ++round) {
        const int drop = load(XDP_DROP), transmit = load(XDP_TX);
        EXPECT_GE(drop, 0);
        EXPECT_GE(transmit, 0);
        const int link = bpf_link_create(drop, kInterface, BPF_XDP, nullptr);
        EXPECT_GE(link, 0);
        EXPECT_EQ(bpf_link_update(link, transmit, nullptr), 0);
        close(drop);  // replaced: the last user of the program goes under traffic
        if (round % 2 != 0) {
            EXPECT_EQ(bpf_link_detach(link), 0);
        }
        close(link);
        close(transmit);
        if (round % 2) {
            // Without a link, the same again.
            const int other = load(XDP_DROP);
            EXPECT_EQ(bpf_xdp_attach(kInterface, other, 0, nullptr), 0);
            EXPECT_EQ(bpf_xdp_detach(kInterface, 0, nullptr), 0);
            close(other);
        } else {
            // A closed link detaches when the library notices, at the latest with the next object.
            __u32 id = 1;
            close(load(XDP_PASS));
            EXPECT_EQ(bpf_xdp_query_id(kInterface, 0, &id), 0);
            EXPECT_EQ(id, 0u);
        }
    }
    stop = true;
    feeder.join();
    EXPECT_EQ(status, 0);
    EXPECT_GT(total.packets, 0u);
    EXPECT_EQ(total.verdicts[XDP_ABORTED], 0u);
    EXPECT_EQ(total.verdicts[XDP_REDIRECT], 0u);
    EXPECT_EQ(total.verdicts[XDP_DROP] + total.verdicts[XDP_TX] + total.verdicts[XDP_PASS],
              total.packets);

    // And the interface is free.
    ebpf_replay_result after{};
    EXPECT_EQ(ebpf_capture__replay(capture, kInterface, nullptr, &after), 0);
    EXPECT_EQ(after.verdicts[XDP_PASS], 64u);
    ebpf_capture__close(capture);
}

}  // namespace
