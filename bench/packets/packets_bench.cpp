// SPDX-License-Identifier: MIT
//
// Packets per second through XDP on a real interface: ours, inline, and the kernel's own generic
// XDP, with the same program on the same interface in the same run. One thread sends as fast as it
// can from another network namespace; the frames are of an EtherType that nobody listens to, so
// that passing them costs what the path costs. Root; network namespaces of its own.
//
//   bench_packets [SECONDS]      JSON on standard output
//
// Frames per core: per second of CPU time of all threads, the sender's and the kernel's work in
// its name included, for both alike.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "isa/text/text.hpp"
#include "platform/linux/netlink.hpp"
#include "products/demo/network.hpp"

namespace {

using ebpf::u32;
using ebpf::u64;
using ebpf::u8;
using Json = nlohmann::ordered_json;

struct Verdict {
    const char* name;
    const char* program;
};
constexpr Verdict kVerdicts[] = {
    {"drop", "r0 = 1\nexit\n"},
    {"pass", "r0 = 2\nexit\n"},
    {"transmit", R"(
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r4 = r2
        r4 += 14
        if r4 > r3 goto out
        r5 = *(u32 *)(r2 + 0)
        r6 = *(u16 *)(r2 + 4)
        r7 = *(u32 *)(r2 + 6)
        r8 = *(u16 *)(r2 + 10)
        *(u32 *)(r2 + 0) = r7
        *(u16 *)(r2 + 4) = r8
        *(u32 *)(r2 + 6) = r5
        *(u16 *)(r2 + 10) = r6
        r0 = 3
        exit
    out:
        r0 = 1
        exit
    )"},
};

void must(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

double cpu_seconds() {
    rusage use{};
    getrusage(RUSAGE_SELF, &use);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(use.ru_utime) + seconds(use.ru_stime);
}

u64 received(const std::string& interface) {
    std::ifstream file("/proc/thread-self/net/dev");
    for (std::string line; std::getline(file, line);) {
        const size_t at = line.find(interface + ":");
        if (at == std::string::npos) continue;
        u64 bytes = 0, packets = 0;
        std::sscanf(line.c_str() + at + interface.size() + 1, "%lu %lu", &bytes, &packets);
        return packets;
    }
    return 0;
}

// --- The kernel's
int kernel_load(std::span<const std::byte> code) {
    bpf_attr attr{};
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = reinterpret_cast<u64>(code.data());
    attr.insn_cnt = static_cast<u32>(code.size() / sizeof(bpf_insn));
    attr.license = reinterpret_cast<u64>("GPL");
    return static_cast<int>(syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof attr));
}

bool kernel_attach(u32 ifindex, int fd) {
    ebpf::platform::NetlinkMessages messages;
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(ifindex);
    messages.begin(RTM_SETLINK, NLM_F_ACK, header);
    messages.nested(IFLA_XDP, [&] {
        messages.value(IFLA_XDP_FD, fd);
        messages.value(IFLA_XDP_FLAGS, u32{XDP_FLAGS_SKB_MODE});
    });
    ebpf::platform::Netlink route;
    return route.open(NETLINK_ROUTE) && route.ask(messages, "xdp");
}

// --- The measurement
void send_until(std::atomic<bool>& stop, const lab::Namespace& other, const std::string& interface,
                u32 size) {
    other.run([&] {
        pin(0);
        const lab::Fd socket = lab::packet_socket(interface);
        const int one = 1;
        setsockopt(socket.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
        std::vector<u8> frame(size, 1);
        const u8 head[14] = {2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 1, 1, 0x88, 0xb5};
        std::copy(head, head + sizeof head, frame.begin());
        iovec part{frame.data(), frame.size()};
        mmsghdr messages[64] = {};
        for (mmsghdr& message : messages) {
            message.msg_hdr.msg_iov = &part;
            message.msg_hdr.msg_iovlen = 1;
        }
        while (!stop.load(std::memory_order_relaxed)) sendmmsg(socket.get(), messages, 64, 0);
    });
}

struct Rate {
    double seconds = 0, cpu = 0;
    u64 frames = 0, missed = 0;
    Json json() const {
        return {{"frames_per_second", static_cast<u64>(static_cast<double>(frames) / seconds)},
                {"frames_per_core", static_cast<u64>(static_cast<double>(frames) / cpu)},
                {"cpus_used", cpu / seconds},
                {"missed", missed}};
    }
    double per_second() const { return static_cast<double>(frames) / seconds; }
    double per_core() const { return static_cast<double>(frames) / cpu; }
};

template <typename Count>
Rate measure(const lab::Namespace& other, const lab::Pair& pair, u32 size, double seconds,
             Count&& count) {
    std::atomic<bool> stop{false};
    std::thread sender([&] { send_until(stop, other, pair.there, size); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    Rate rate;
    const auto [frames, missed] = count();
    const double cpu = cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    const auto [frames_after, missed_after] = count();
    rate.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    rate.cpu = cpu_seconds() - cpu;
    rate.frames = frames_after - frames;
    rate.missed = missed_after - missed;
    stop = true;
    sender.join();
    return rate;
}

Json compare(const lab::Namespace& other, const lab::Pair& pair, const Verdict& verdict, u32 size,
             double seconds) {
    const auto code = ebpf::isa::text::assemble(verdict.program, ebpf::isa::text::Dialect::Llvm);
    must(code.has_value(), "assembling");
    const int index = static_cast<int>(pair.here_index);
    using Counts = std::pair<u64, u64>;

    const lab::Fd theirs(kernel_load(*code));
    must(static_cast<bool>(theirs), "the kernel's bpf(2)");
    must(kernel_attach(pair.here_index, theirs.get()), "the kernel's generic XDP");
    const Rate kernel =
        measure(other, pair, size, seconds, [&] { return Counts{received(pair.here), 0}; });
    kernel_attach(pair.here_index, -1);

    const lab::Fd ours(bpf_prog_load(BPF_PROG_TYPE_XDP, verdict.name, "GPL",
                                     reinterpret_cast<const bpf_insn*>(code->data()),
                                     code->size() / sizeof(bpf_insn), nullptr));
    must(ours && bpf_xdp_attach(index, ours.get(), 0, nullptr) == 0, "attaching");
    u64 failed = 0;
    const Rate live = measure(other, pair, size, seconds, [&] {
        ebpf_live_statistics all{};
        ebpf_live__statistics(index, &all, sizeof all);
        failed = all.pass_failed + all.transmit_failed;
        return Counts{all.frames, all.missed};
    });
    bpf_xdp_detach(index, 0, nullptr);
    return {{"verdict", verdict.name},
            {"frame_bytes", size == 60 ? 64 : 1518},  // with the checksum that the wire adds
            {"kernel_generic_xdp", kernel.json()},
            {"casement", live.json()},
            {"not_delivered", failed},
            {"ratio_per_second", live.per_second() / kernel.per_second()},
            {"ratio_per_core", live.per_core() / kernel.per_core()}};
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 && argv[1][0] != '-' ? std::atof(argv[1]) : 1.0;
    Json page = {
        {"command", "bench_packets " + std::to_string(seconds)},
        {"ratio_to", "Linux's generic XDP with the same program, same interface, same run"},
        {"cpus", std::thread::hardware_concurrency()}};
    try {
        if (const std::string why_not = lab::enter_namespace(); !why_not.empty())
            throw std::runtime_error(why_not);
        must(ebpf_live__enable() == 0, "live interfaces");
        const lab::Namespace other;
        const lab::Pair pair = lab::make_pair(other, 1);
        for (const u32 size : {60u, 1514u})
            for (const Verdict& verdict : kVerdicts)
                page["results"].push_back(compare(other, pair, verdict, size, seconds));
    } catch (const std::exception& error) {
        page["skipped"] = error.what();
    }
    std::puts(page.dump(2).c_str());
    return 0;
}
