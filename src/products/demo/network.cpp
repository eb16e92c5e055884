// SPDX-License-Identifier: MIT
#include "products/demo/network.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <thread>

#include "platform/linux/netlink.hpp"

namespace lab {
namespace {

using ebpf::platform::Netlink;
using ebpf::platform::NetlinkMessages;

void must(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

// A thread of its own, since it changes its namespace; its exception is ours.
void in_thread(const std::function<void()>& work) {
    std::exception_ptr thrown;
    std::thread([&] {
        try {
            work();
        } catch (...) {
            thrown = std::current_exception();
        }
    }).join();
    if (thrown) std::rethrow_exception(thrown);
}

bool write_file(const char* path, const std::string& text) {
    const Fd file(open(path, O_WRONLY | O_CLOEXEC));
    return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void ask(NetlinkMessages& messages, const char* what) {
    Netlink route;
    must(route.open(NETLINK_ROUTE).has_value(), "netlink");
    const auto done = route.ask(messages, what);
    errno = done ? 0 : static_cast<int>(done.error().arg);
    must(done.has_value(), what);
}

constexpr u16 kNew = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

void add_address(u32 ifindex, const Address& address) {
    NetlinkMessages messages;
    ifaddrmsg header{};
    header.ifa_family = address.v6 ? AF_INET6 : AF_INET;
    header.ifa_prefixlen = address.v6 ? 64 : 24;
    header.ifa_index = ifindex;
    header.ifa_flags = address.v6 ? IFA_F_NODAD : 0;
    messages.begin(RTM_NEWADDR, kNew, header);
    if (address.v6) {
        const u8 bytes[16] = {0xfd, 9, 0, address.net, 0, 0, 0, 0,
                              0,    0, 0, 0,           0, 0, 0, address.host};
        messages.value(IFA_LOCAL, bytes);
        messages.value(IFA_ADDRESS, bytes);
    } else {
        const u8 bytes[4] = {10, 9, address.net, address.host};
        messages.value(IFA_LOCAL, bytes);
        messages.value(IFA_ADDRESS, bytes);
    }
    ask(messages, "address");
}

void configure(const std::string& name, u8 net, u8 host, u32 mtu) {
    const u32 index = if_nametoindex(name.c_str());
    NetlinkMessages messages;
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(index);
    header.ifi_flags = header.ifi_change = IFF_UP;
    messages.begin(RTM_NEWLINK, NLM_F_ACK, header);
    messages.value(IFLA_MTU, mtu);
    ask(messages, "interface up");
    add_address(index, {.v6 = false, .net = net, .host = host});
    add_address(index, {.v6 = true, .net = net, .host = host});
}

socklen_t native(const Address& address, sockaddr_storage& out) {
    out = {};
    if (address.v6) {
        auto& to = reinterpret_cast<sockaddr_in6&>(out);
        to.sin6_family = AF_INET6;
        to.sin6_port = htons(address.port);
        const u8 bytes[16] = {0xfd, 9, 0, address.net, 0, 0, 0, 0,
                              0,    0, 0, 0,           0, 0, 0, address.host};
        std::memcpy(&to.sin6_addr, bytes, sizeof bytes);
        return sizeof to;
    }
    auto& to = reinterpret_cast<sockaddr_in&>(out);
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    const u8 bytes[4] = {10, 9, address.net, address.host};
    std::memcpy(&to.sin_addr, bytes, sizeof bytes);
    return sizeof to;
}

}  // namespace

std::string enter_namespace() {
    static bool mapped = false;
    const uid_t user = geteuid();
    const gid_t group = getegid();
    if (user == 0 || mapped) {
        if (unshare(CLONE_NEWNET) != 0)
            return std::string("no network namespaces: ") + std::strerror(errno);
    } else {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
            return std::string("not root, and no user namespaces: ") + std::strerror(errno);
        write_file("/proc/self/setgroups", "deny");
        if (!write_file("/proc/self/uid_map", "0 " + std::to_string(user) + " 1") ||
            !write_file("/proc/self/gid_map", "0 " + std::to_string(group) + " 1")) {
            return std::string("user namespaces cannot be set up: ") + std::strerror(errno);
        }
        mapped = true;
    }
    set_up(1, true);
    const Fd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    if (!tun) return std::string("/dev/net/tun: ") + std::strerror(errno);
    return "";
}

Namespace::Namespace() {
    in_thread([this] {
        must(unshare(CLONE_NEWNET) == 0, "network namespace");
        fd_ = Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        must(static_cast<bool>(fd_), "network namespace");
        set_up(1, true);
    });
}

void Namespace::run(const std::function<void()>& work) const {
    in_thread([&] {
        must(setns(fd_.get(), CLONE_NEWNET) == 0, "setns");
        work();
    });
}

Pair make_pair(const Namespace& other, u8 net, u32 mtu) {
    Pair pair{"here" + std::to_string(net), "there" + std::to_string(net)};
    const u8 here[6] = {2, 0, 0, 0, net, 2}, there[6] = {2, 0, 0, 0, net, 1};
    NetlinkMessages messages;
    const ifinfomsg none{};
    messages.begin(RTM_NEWLINK, kNew, none);
    messages.text(IFLA_IFNAME, pair.here.c_str());
    messages.value(IFLA_ADDRESS, here);
    messages.nested(IFLA_LINKINFO, [&] {
        messages.text(IFLA_INFO_KIND, "veth");
        messages.nested(IFLA_INFO_DATA, [&] {
            messages.nested(VETH_INFO_PEER, [&] {
                messages.raw(none);
                messages.text(IFLA_IFNAME, pair.there.c_str());
                messages.value(IFLA_ADDRESS, there);
                messages.value(IFLA_NET_NS_FD, other.fd());
            });
        });
    });
    ask(messages, "veth pair");
    configure(pair.here, net, 2, mtu);
    other.run([&] { configure(pair.there, net, 1, mtu); });
    pair.here_index = if_nametoindex(pair.here.c_str());
    return pair;
}

std::vector<std::string> interfaces() {
    std::vector<std::string> names;
    struct if_nameindex* const all = if_nameindex();
    for (auto* at = all; at && at->if_name; ++at) names.emplace_back(at->if_name);
    if_freenameindex(all);
    return names;
}

void set_up(u32 ifindex, bool up) {
    NetlinkMessages messages;
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(ifindex);
    header.ifi_flags = up ? IFF_UP : 0;
    header.ifi_change = IFF_UP;
    messages.begin(RTM_NEWLINK, NLM_F_ACK, header);
    ask(messages, "interface up");
}

Fd udp_socket(const Address& bound) {
    Fd made(socket(bound.v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int room = 8 << 20;  // receivers may be slow; where it is not permitted, they must not be
    setsockopt(made.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    sockaddr_storage address;
    const socklen_t size = native(bound, address);
    must(bind(made.get(), reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
    return made;
}

bool send_udp(const Fd& socket, const Address& to, const std::string& text) {
    sockaddr_storage address;
    const socklen_t size = native(to, address);
    return sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&address),
                  size) == static_cast<ssize_t>(text.size());
}

bool receive(const Fd& socket, std::string& text, int milliseconds) {
    pollfd event{socket.get(), POLLIN, 0};
    if (poll(&event, 1, milliseconds) <= 0) return false;
    text.resize(65536);
    const ssize_t size = recv(socket.get(), text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return size >= 0;
}

Fd packet_socket(const std::string& interface) {
    Fd made(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    must(static_cast<bool>(made), "packet socket");
    const int one = 1;
    setsockopt(made.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    must(bind(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
    return made;
}

void send_frame(const Fd& socket, const std::vector<u8>& frame) {
    must(send(socket.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()),
         "send a frame");
}

bool receive_frame(const Fd& socket, u16 type, std::vector<u8>& frame, int milliseconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        pollfd event{socket.get(), POLLIN, 0};
        if (left.count() < 0 || poll(&event, 1, static_cast<int>(left.count())) <= 0) return false;
        frame.resize(65536);
        const ssize_t size = recv(socket.get(), frame.data(), frame.size(), 0);
        if (size < 14) continue;
        frame.resize(static_cast<size_t>(size));
        if ((frame[12] << 8 | frame[13]) == type) return true;
    }
}

}  // namespace lab
