// SPDX-License-Identifier: MIT
//
// XDP on real interfaces: sockets on one side of a virtual Ethernet pair, a program on the other.
// Each test runs in network namespaces of its own.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <numeric>
#include <optional>
#include <thread>

#include "products/demo/network.hpp"
#include "programs.hpp"

namespace live_test {
namespace {

using namespace lab;

// How long something that must come may take, and how long we look for what must not.
constexpr int kComes = 20'000, kNever = 300;

class LiveTest : public testing::Test {
  protected:
    void SetUp() override {
        const std::string why_not = enter_namespace();
        if (!why_not.empty()) GTEST_SKIP() << why_not;
        libbpf_set_print([](libbpf_print_level level, const char* format, va_list arguments) {
            return level == LIBBPF_WARN ? std::vfprintf(stderr, format, arguments) : 0;
        });
        ASSERT_EQ(ebpf_live__enable(), 0);
        other_.emplace();
        pair_ = make_pair(*other_, 1);
    }

    void TearDown() override {
        if (other_) (void)bpf_xdp_detach(static_cast<int>(pair_.here_index), 0, nullptr);
    }

    void attach(const std::string& program, u32 ifindex = 0) {
        const Fd fd(load(program));
        ASSERT_GE(fd.get(), 0) << "see above";
        ASSERT_EQ(bpf_xdp_attach(static_cast<int>(ifindex ? ifindex : pair_.here_index), fd.get(),
                                 XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr),
                  0);
    }
    void detach() { EXPECT_EQ(bpf_xdp_detach(static_cast<int>(pair_.here_index), 0, nullptr), 0); }
    ebpf_live_statistics statistics() const {
        ebpf_live_statistics all{};
        EXPECT_EQ(ebpf_live__statistics(static_cast<int>(pair_.here_index), &all, sizeof all), 0);
        return all;
    }

    // What arrives here when these are sent there, one after the other.
    std::vector<std::string> exchange(bool v6, const std::vector<std::string>& texts, u8 net = 1) {
        const Fd here = udp_socket({.v6 = v6, .net = net, .host = 2, .port = 7000});
        other_->run([&] {
            const Fd there = udp_socket({.v6 = v6, .net = net, .host = 1, .port = 0});
            for (const std::string& text : texts)
                EXPECT_TRUE(send_udp(there, {v6, net, 2, 7000}, text));
        });
        std::vector<std::string> received;
        // The last one is never dropped, so that nobody waits for what does not come.
        std::string text;
        while (receive(here, text, kComes)) {
            received.push_back(text);
            if (text == texts.back()) break;
        }
        return received;
    }

    // Ethernet frames of a type that nobody understands, to `to`.
    static std::vector<u8> frame(const std::vector<u8>& to, size_t size = 64) {
        std::vector<u8> bytes(size);
        std::copy(to.begin(), to.end(), bytes.begin());
        const u8 from[6] = {2, 0, 0, 0, 1, 1};
        std::copy(from, from + 6, bytes.begin() + 6);
        bytes[12] = 0x88, bytes[13] = 0xb5;
        std::iota(bytes.begin() + 14, bytes.end(), u8{1});
        return bytes;
    }

    std::optional<Namespace> other_;
    Pair pair_;
};

using Texts = std::vector<std::string>;

// First in this file, since a process that has enabled live interfaces stays so.
TEST(LiveSwitchTest, NothingIsTouchedUnlessAskedFor) {
    if (const std::string why_not = enter_namespace(); !why_not.empty()) GTEST_SKIP() << why_not;
    const Namespace other;
    const Pair pair = make_pair(other, 1);
    const std::vector<std::string> before = interfaces();
    static std::string printed;
    libbpf_set_print([](libbpf_print_level, const char* format, va_list arguments) {
        char text[512];
        printed.append(text,
                       static_cast<size_t>(std::vsnprintf(text, sizeof text, format, arguments)));
        return 0;
    });
    const Fd fd(load(returns(XDP_DROP)));
    EXPECT_EQ(bpf_xdp_attach(static_cast<int>(pair.here_index), fd.get(), 0, nullptr), 0);
    EXPECT_EQ(interfaces(), before);
    EXPECT_NE(printed.find("here1 is not filtered"), std::string::npos) << printed;
    EXPECT_EQ(bpf_xdp_detach(static_cast<int>(pair.here_index), 0, nullptr), 0);
}

TEST_F(LiveTest, DroppedDatagramsVanishAndOthersArrive) {
    const Texts sent = {"one", "", "two", "", "", "three"};
    for (const bool v6 : {false, true}) EXPECT_EQ(exchange(v6, sent), sent) << "without a program";
    attach(kDropEmptyUdp);
    const Texts rest = {"one", "two", "three"};
    for (const bool v6 : {false, true}) EXPECT_EQ(exchange(v6, sent), rest);
    const ebpf_live_statistics seen = statistics();
    EXPECT_EQ(seen.verdicts[XDP_DROP], 6u);
    EXPECT_GE(seen.verdicts[XDP_PASS], 6u);
    EXPECT_EQ(seen.frames, seen.verdicts[XDP_DROP] + seen.verdicts[XDP_PASS]);
    EXPECT_EQ(seen.pass_failed + seen.missed + seen.oversized, 0u);
    detach();
    for (const bool v6 : {false, true}) EXPECT_EQ(exchange(v6, sent), sent) << "detached";
    ebpf_live_statistics none{};
    EXPECT_EQ(ebpf_live__statistics(static_cast<int>(pair_.here_index), &none, sizeof none),
              -ENOENT);
}

TEST_F(LiveTest, NothingArrivesWhenEverythingIsDropped) {
    ASSERT_EQ(exchange(false, {"first"}), Texts{"first"}) << "the neighbours know each other";
    attach(returns(XDP_DROP));
    const Fd here = udp_socket({.v6 = false, .net = 1, .host = 2, .port = 7000});
    other_->run([&] {
        const Fd there = udp_socket({.v6 = false, .net = 1, .host = 1, .port = 0});
        send_udp(there, {false, 1, 2, 7000}, "hello");
        send_frame(packet_socket(pair_.there), frame({2, 0, 0, 0, 1, 2}));
    });
    std::string text;
    EXPECT_FALSE(receive(here, text, kNever));
    EXPECT_GE(statistics().verdicts[XDP_DROP], 2u);
    detach();
    other_->run([&] {
        const Fd there = udp_socket({.v6 = false, .net = 1, .host = 1, .port = 0});
        send_udp(there, {false, 1, 2, 7000}, "again");
    });
    ASSERT_TRUE(receive(here, text, kComes));
    EXPECT_EQ(text, "again");
}

// The hosts do not know each other yet: broadcasts (ARP) and multicasts (neighbour discovery) pass
// as what they are, both ways.
TEST_F(LiveTest, NeighboursAreFound) {
    attach(returns(XDP_PASS));
    EXPECT_EQ(exchange(false, {"four"}), Texts{"four"});
    EXPECT_EQ(exchange(true, {"six"}), Texts{"six"});
    EXPECT_EQ(statistics().pass_failed, 0u);
}

TEST_F(LiveTest, FramesForOthersAreNotTakenForOurs) {
    attach(returns(XDP_PASS));
    ASSERT_EQ(exchange(false, {"first"}), Texts{"first"});
    // A datagram to our IP address in a frame to somebody else: IP must ignore it.
    const Fd here = udp_socket({.v6 = false, .net = 1, .host = 2, .port = 9});
    std::vector<u8> datagram = {2,    0,   0,   0,  1,  9, 2, 0, 0,  0,  1, 1, 8, 0,  // Ethernet
                                0x45, 0,   0,   32, 0,  0, 0, 0, 64, 17, 0, 0,        // IPv4
                                10,   9,   1,   1,  10, 9, 1, 2, 0,  9,  0, 9, 0, 12,
                                0,    0,  // addresses, UDP
                                'm',  'i', 'n', 'e'};
    u32 sum = 0;
    for (size_t i = 14; i < 34; i += 2) sum += static_cast<u32>(datagram[i] << 8 | datagram[i + 1]);
    sum = ~((sum & 0xffff) + (sum >> 16));
    datagram[24] = static_cast<u8>(sum >> 8), datagram[25] = static_cast<u8>(sum);
    other_->run([&] { send_frame(packet_socket(pair_.there), datagram); });
    std::string text;
    EXPECT_FALSE(receive(here, text, kNever));
    datagram[5] = 2;
    other_->run([&] { send_frame(packet_socket(pair_.there), datagram); });
    ASSERT_TRUE(receive(here, text, kComes));
    EXPECT_EQ(text, "mine");
}

TEST_F(LiveTest, TransmittedFramesComeBack) {
    attach(kReflect);
    std::vector<u8> back;
    other_->run([&] {
        const Fd there = packet_socket(pair_.there);
        for (const size_t size : {60, 64, 1514}) {
            const std::vector<u8> sent = frame({2, 0, 0, 0, 1, 2}, size);
            send_frame(there, sent);
            ASSERT_TRUE(receive_frame(there, 0x88b5, back, kComes)) << size;
            std::vector<u8> expected = sent;
            std::swap_ranges(expected.begin(), expected.begin() + 6, expected.begin() + 6);
            EXPECT_EQ(back, expected);
        }
    });
    EXPECT_EQ(statistics().verdicts[XDP_TX], 3u);
    EXPECT_EQ(exchange(false, {"the rest passes"}), Texts{"the rest passes"});
}

TEST_F(LiveTest, RedirectedFramesLeaveByTheOtherInterface) {
    const Namespace third;
    const Pair second = make_pair(third, 2);
    attach(redirect_to(second.here_index));
    const std::vector<u8> sent = frame({2, 0, 0, 0, 2, 1});
    std::vector<u8> got;
    third.run([&] {
        const Fd far = packet_socket(second.there);
        other_->run([&] { send_frame(packet_socket(pair_.there), sent); });
        ASSERT_TRUE(receive_frame(far, 0x88b5, got, kComes));
    });
    EXPECT_EQ(got, sent);
    EXPECT_EQ(statistics().verdicts[XDP_REDIRECT], 1u);
    EXPECT_EQ(statistics().redirect_failed, 0u);
}

TEST_F(LiveTest, RedirectsThatGoNowhereAreCounted) {
    attach(redirect_to(12345));
    const std::vector<u8> sent = frame({2, 0, 0, 0, 1, 2});
    other_->run([&] { send_frame(packet_socket(pair_.there), sent); });
    EXPECT_EQ(exchange(false, {"passes"}), Texts{"passes"});
    EXPECT_EQ(statistics().redirect_failed, 1u);
    detach();
    attach(redirect_to(pair_.here_index, 1));  // there are no flags
    other_->run([&] { send_frame(packet_socket(pair_.there), sent); });
    EXPECT_EQ(exchange(false, {"passes"}), Texts{"passes"});
    EXPECT_EQ(statistics().verdicts[XDP_ABORTED], 1u);
}

// A datagram in a frame with a tag that only gives a priority (VLAN 0), which every system takes.
std::vector<u8> tagged_datagram(char text) {
    std::vector<u8> bytes = {
        2,  0,    0, 0, 1,  2, 2, 0, 0, 0,  1,    1,    0x81, 0, 0x60, 0, 8,
        0,  0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17,   0,    0,  // IPv4
        10, 9,    1, 1, 10, 9, 1, 2, 0, 9,  0x1b, 0x58, 0,    9, 0,    0, static_cast<u8>(text)};
    u32 sum = 0;
    for (size_t i = 18; i < 38; i += 2) sum += static_cast<u32>(bytes[i] << 8 | bytes[i + 1]);
    sum = ~((sum & 0xffff) + (sum >> 16));
    bytes[28] = static_cast<u8>(sum >> 8), bytes[29] = static_cast<u8>(sum);
    return bytes;
}

TEST_F(LiveTest, ProgramsSeeVlanTagsWhereTheyWereOnTheWire) {
    // Tagged frames whose datagram begins with 'd' are dropped.
    attach(with_packet(47, R"(
        r5 = *(u16 *)(r2 + 12)
        if r5 != 0x81 goto pass
        r5 = *(u16 *)(r2 + 16)
        if r5 != 8 goto pass
        r5 = *(u8 *)(r2 + 46)
        if r5 != 100 goto pass
        r0 = 1
        exit
    )"));
    const Fd here = udp_socket({.v6 = false, .net = 1, .host = 2, .port = 7000});
    other_->run([&] {
        const Fd there = packet_socket(pair_.there);
        for (const char text : {'a', 'd', 'b'}) send_frame(there, tagged_datagram(text));
    });
    std::string text;
    ASSERT_TRUE(receive(here, text, kComes));
    EXPECT_EQ(text, "a");
    ASSERT_TRUE(receive(here, text, kComes));
    EXPECT_EQ(text, "b");
    EXPECT_EQ(statistics().verdicts[XDP_DROP], 1u);
    EXPECT_EQ(statistics().pass_failed, 0u);
}

TEST_F(LiveTest, LargeFramesAndFragments) {
    const Namespace third;
    const Pair large = make_pair(third, 3, 9000);
    attach(returns(XDP_PASS), large.here_index);
    const Fd here = udp_socket({.v6 = false, .net = 3, .host = 2, .port = 7000});
    std::vector<std::string> sent;
    for (const size_t size : {1472, 1473, 8972, 8973, 30'000, 60'000})
        sent.push_back(std::string(size, static_cast<char>('a' + sent.size())));
    third.run([&] {
        const Fd there = udp_socket({.v6 = false, .net = 3, .host = 1, .port = 0});
        for (const std::string& text : sent)
            EXPECT_TRUE(send_udp(there, {false, 3, 2, 7000}, text));
    });
    for (const std::string& text : sent) {
        std::string got;
        ASSERT_TRUE(receive(here, got, kComes)) << text.size();
        EXPECT_EQ(got == text, true) << text.size();
    }
    EXPECT_EQ(bpf_xdp_detach(static_cast<int>(large.here_index), 0, nullptr), 0);
}

// The sender leaves cutting and checksums to the receiver, as virtual interfaces do: frames of up
// to 64 KiB come, and must arrive whole.
TEST_F(LiveTest, TcpWithSegmentationLeftToTheReceiver) {
    attach(returns(XDP_PASS));
    constexpr size_t kBytes = 8 << 20;
    for (const bool v6 : {false, true}) {
        const int family = v6 ? AF_INET6 : AF_INET;
        const Fd listener(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in6 any{};
        any.sin6_family = static_cast<sa_family_t>(family);
        any.sin6_port = htons(v6 ? 7002 : 7001);
        ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&any),
                       v6 ? sizeof any : sizeof(sockaddr_in)),
                  0);
        ASSERT_EQ(listen(listener.get(), 1), 0);
        std::thread client([&] {
            other_->run([&] {
                const Fd there(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
                sockaddr_in6 to6{};
                to6.sin6_family = AF_INET6;
                to6.sin6_port = htons(7002);
                const u8 address6[16] = {0xfd, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
                std::memcpy(&to6.sin6_addr, address6, 16);
                sockaddr_in to4{};
                to4.sin_family = AF_INET;
                to4.sin_port = htons(7001);
                to4.sin_addr.s_addr = htonl(0x0a090102);
                ASSERT_EQ(v6 ? connect(there.get(), reinterpret_cast<sockaddr*>(&to6), sizeof to6)
                             : connect(there.get(), reinterpret_cast<sockaddr*>(&to4), sizeof to4),
                          0);
                std::vector<u8> bytes(kBytes);
                for (size_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<u8>(i * 7 + i / 251);
                for (size_t at = 0; at < kBytes;) {
                    const ssize_t now = send(there.get(), bytes.data() + at, kBytes - at, 0);
                    ASSERT_GT(now, 0);
                    at += static_cast<size_t>(now);
                }
            });
        });
        pollfd event{listener.get(), POLLIN, 0};
        ASSERT_EQ(poll(&event, 1, kComes), 1);
        const Fd here(accept(listener.get(), nullptr, nullptr));
        const timeval patience{.tv_sec = 20, .tv_usec = 0};
        setsockopt(here.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        std::vector<u8> buffer(1 << 20);
        size_t at = 0, wrong = 0;
        for (;;) {
            const ssize_t now = recv(here.get(), buffer.data(), buffer.size(), 0);
            if (now <= 0) break;
            for (ssize_t i = 0; i < now; ++i, ++at)
                wrong += buffer[static_cast<size_t>(i)] != static_cast<u8>(at * 7 + at / 251);
        }
        client.join();
        EXPECT_EQ(at, kBytes);
        EXPECT_EQ(wrong, 0u);
    }
    const ebpf_live_statistics seen = statistics();
    EXPECT_GT(seen.bytes / seen.frames, 3000u) << "this was to be about frames that are left whole";
    EXPECT_EQ(seen.pass_failed + seen.oversized, 0u);
}

TEST_F(LiveTest, ProgramsMayMoveTheFramesBorders) {
    // 64 bytes before, 100 behind: what arrives is the longer frame.
    attach(with_packet(14, R"(
        r5 = *(u16 *)(r2 + 12)
        if r5 != 0xb588 goto pass
        r9 = r1
        r2 = 100
        call 65
        if r0 != 0 goto pass
        r1 = r9
        r2 = -64
        call 44
        if r0 != 0 goto pass
        r2 = *(u32 *)(r9 + 0)
        r3 = *(u32 *)(r9 + 4)
        r4 = r2
        r4 += 14
        if r4 > r3 goto pass
        r5 = 2
        *(u32 *)(r2 + 0) = r5
        r5 = 0x0201
        *(u16 *)(r2 + 4) = r5
        r5 = 0xb588
        *(u16 *)(r2 + 12) = r5
    )"));
    const Fd here = packet_socket(pair_.here);
    const std::vector<u8> sent = frame({2, 0, 0, 0, 1, 2}, 1514);
    other_->run([&] { send_frame(packet_socket(pair_.there), sent); });
    // This socket sees the frame when it arrives, and again when it is passed on.
    std::vector<u8> got;
    ASSERT_TRUE(receive_frame(here, 0x88b5, got, kComes));
    EXPECT_EQ(got, sent);
    ASSERT_TRUE(receive_frame(here, 0x88b5, got, kComes));
    ASSERT_EQ(got.size(), 1514u + 64 + 100);
    EXPECT_TRUE(std::equal(sent.begin() + 14, sent.end(), got.begin() + 64 + 14));
    EXPECT_TRUE(std::all_of(got.end() - 100, got.end(), [](u8 byte) { return byte == 0; }));
}

// --- Owners --------------------------------------------------------------------------------------

TEST_F(LiveTest, NothingIsLeftBehind) {
    const std::vector<std::string> before = interfaces();
    attach(returns(XDP_DROP));
    EXPECT_NE(interfaces(), before);
    detach();
    EXPECT_EQ(interfaces(), before);
}

// A process that is killed filters no more, also when it had children.
TEST_F(LiveTest, TheKernelCleansUpAfterAnOwnerThatIsKilled) {
    const std::vector<std::string> before = interfaces();
    for (const bool with_child : {false, true}) {
        int ready[2];
        ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
        const pid_t owner = fork();
        if (owner == 0) {
            const int fd = load(returns(XDP_DROP));
            const bool attached =
                fd >= 0 && bpf_xdp_attach(static_cast<int>(pair_.here_index), fd, 0, nullptr) == 0;
            pid_t child = 0;
            if (with_child && (child = fork()) == 0) {
                close(ready[1]);
                for (;;) pause();
            }
            (void)!write(ready[1], &child, attached ? sizeof child : 1);
            for (;;) pause();
        }
        close(ready[1]);
        pid_t child = 0;
        ASSERT_EQ(read(ready[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
        close(ready[0]);
        const Fd here = udp_socket({.v6 = false, .net = 1, .host = 2, .port = 7000});
        std::string text;
        other_->run([&] {
            const Fd there = udp_socket({.v6 = false, .net = 1, .host = 1, .port = 0});
            send_udp(there, {false, 1, 2, 7000}, "dropped");
        });
        EXPECT_FALSE(receive(here, text, kNever));
        kill(owner, SIGKILL);
        waitpid(owner, nullptr, 0);
        bool flows = false;
        for (int i = 0; i < 100 && !flows; ++i) {
            other_->run([&] {
                const Fd there = udp_socket({.v6 = false, .net = 1, .host = 1, .port = 0});
                send_udp(there, {false, 1, 2, 7000}, "flows again");
            });
            flows = receive(here, text, 200);
        }
        EXPECT_TRUE(flows) << "child " << with_child;
        EXPECT_EQ(interfaces(), before);
        if (child) kill(child, SIGKILL);
    }
}

TEST_F(LiveTest, OneProcessFiltersAnInterface) {
    int go[2];
    ASSERT_EQ(pipe2(go, O_CLOEXEC), 0);
    const pid_t other = fork();  // before the program is attached: that is not the child's then
    if (other == 0) {
        char byte = 0;
        (void)!read(go[0], &byte, 1);
        libbpf_set_print(nullptr);
        const int fd = load(returns(XDP_DROP));
        _exit(-bpf_xdp_attach(static_cast<int>(pair_.here_index), fd, 0, nullptr));
    }
    attach(returns(XDP_PASS));
    ASSERT_EQ(write(go[1], "", 1), 1);
    int status = 0;
    waitpid(other, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), EBUSY);
    EXPECT_EQ(exchange(false, {"still passes"}), Texts{"still passes"});
    close(go[0]), close(go[1]);
}

TEST_F(LiveTest, TheInterfaceGoesDownAndComesBack) {
    attach(kDropEmptyUdp);
    set_up(pair_.here_index, false);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    set_up(pair_.here_index, true);
    EXPECT_EQ(exchange(false, {"a", "", "b"}), (Texts{"a", "b"}));
}

}  // namespace
}  // namespace live_test
