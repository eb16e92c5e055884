// SPDX-License-Identifier: MIT
#include "platform/linux/live_path.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <mutex>

#include "platform/system.hpp"

namespace ebpf::platform {
namespace {

constexpr u32 kTapMtu = 65521;       // the largest that a TAP device takes
constexpr i32 kRulePriority = -500;  // before anybody else's

std::unexpected<Error> fail_errno(const char* what) {
    return fail(errc_of_errno(errno), {}, what, static_cast<u64>(errno));
}

// --- nftables ------------------------------------------------------------------------------------

constexpr u16 nft(u16 message) {
    return static_cast<u16>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

constexpr u16 kCreate = NLM_F_CREATE | NLM_F_EXCL;

// A transaction on one table of the netdev family.
class Rules {
  public:
    explicit Rules(const char* table) : table_(table) {
        messages_.begin(NFNL_MSG_BATCH_BEGIN, 0, batch_header());
    }

    // The table goes with the socket that makes it.
    void add_table() {
        messages_.begin(nft(NFT_MSG_NEWTABLE), kCreate, header());
        messages_.text(NFTA_TABLE_NAME, table_);
        messages_.value(NFTA_TABLE_FLAGS, htonl(NFT_TABLE_F_OWNER));
    }

    // A chain that drops what its rules do not take.
    void add_chain(const char* name, u32 hook, const char* device) {
        messages_.begin(nft(NFT_MSG_NEWCHAIN), kCreate, header());
        messages_.text(NFTA_CHAIN_TABLE, table_);
        messages_.text(NFTA_CHAIN_NAME, name);
        messages_.nested(NFTA_CHAIN_HOOK, [&] {
            messages_.value(NFTA_HOOK_HOOKNUM, htonl(hook));
            messages_.value(NFTA_HOOK_PRIORITY, htonl(static_cast<u32>(kRulePriority)));
            messages_.text(NFTA_HOOK_DEV, device);
        });
        messages_.value(NFTA_CHAIN_POLICY, htonl(NF_DROP));
        messages_.text(NFTA_CHAIN_TYPE, "filter");
    }

    template <typename Expressions>
    void add_rule(const char* chain, Expressions&& expressions) {
        messages_.begin(nft(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, header());
        messages_.text(NFTA_RULE_TABLE, table_);
        messages_.text(NFTA_RULE_CHAIN, chain);
        messages_.nested(NFTA_RULE_EXPRESSIONS, expressions);
    }

    // --- expressions; the register is always the same one ---------------------------------------
    void if_mark_is(u32 mark) {
        expression("meta", [&] {
            messages_.value(NFTA_META_DREG, htonl(NFT_REG_1));
            messages_.value(NFTA_META_KEY, htonl(NFT_META_MARK));
        });
        expression("cmp", [&] {
            messages_.value(NFTA_CMP_SREG, htonl(NFT_REG_1));
            messages_.value(NFTA_CMP_OP, htonl(NFT_CMP_EQ));
            messages_.nested(NFTA_CMP_DATA, [&] { messages_.value(NFTA_DATA_VALUE, mark); });
        });
    }
    void set_mark(u32 mark) {
        load(mark);
        expression("meta", [&] {
            messages_.value(NFTA_META_SREG, htonl(NFT_REG_1));
            messages_.value(NFTA_META_KEY, htonl(NFT_META_MARK));
        });
    }
    void accept() {
        expression("immediate", [&] {
            messages_.value(NFTA_IMMEDIATE_DREG, htonl(NFT_REG_VERDICT));
            messages_.nested(NFTA_IMMEDIATE_DATA, [&] {
                messages_.nested(NFTA_DATA_VERDICT,
                                 [&] { messages_.value(NFTA_VERDICT_CODE, htonl(NF_ACCEPT)); });
            });
        });
    }
    void send_to(u32 ifindex) {
        load(ifindex);
        expression("fwd", [&] { messages_.value(NFTA_FWD_SREG_DEV, htonl(NFT_REG_1)); });
    }

    NetlinkMessages& finish() {
        messages_.begin(NFNL_MSG_BATCH_END, 0, batch_header());
        return messages_;
    }

  private:
    static nfgenmsg header() { return {NFPROTO_NETDEV, NFNETLINK_V0, 0}; }
    static nfgenmsg batch_header() {
        return {AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)};
    }

    template <typename Attributes>
    void expression(const char* name, Attributes&& attributes) {
        messages_.nested(NFTA_LIST_ELEM, [&] {
            messages_.text(NFTA_EXPR_NAME, name);
            messages_.nested(NFTA_EXPR_DATA, attributes);
        });
    }
    void load(u32 value) {
        expression("immediate", [&] {
            messages_.value(NFTA_IMMEDIATE_DREG, htonl(NFT_REG_1));
            messages_.nested(NFTA_IMMEDIATE_DATA, [&] { messages_.value(NFTA_DATA_VALUE, value); });
        });
    }

    NetlinkMessages messages_;
    const char* table_;
};

// --- fork ----------------------------------------------------------------------------------------

struct ParentsOnly {
    std::mutex mutex;
    std::array<int, 1024> fds{};
    size_t count = 0;
};
ParentsOnly& parents_only() {
    static ParentsOnly* const all = [] {
        auto* made = new ParentsOnly;
        pthread_atfork([] { parents_only().mutex.lock(); }, [] { parents_only().mutex.unlock(); },
                       [] {
                           ParentsOnly& here = parents_only();
                           for (size_t i = 0; i < here.count; ++i) close(here.fds[i]);
                           here.count = 0;
                           here.mutex.unlock();
                       });
        return made;
    }();
    return *all;
}

}  // namespace

void close_in_children(int fd) {
    ParentsOnly& all = parents_only();
    const std::scoped_lock lock(all.mutex);
    if (all.count < all.fds.size()) all.fds[all.count++] = fd;
}

void forget_in_children(int fd) {
    ParentsOnly& all = parents_only();
    const std::scoped_lock lock(all.mutex);
    for (size_t i = 0; i < all.count; ++i) {
        if (all.fds[i] == fd) {
            all.fds[i] = all.fds[--all.count];
            return;
        }
    }
}

LivePath::~LivePath() {
    if (rules_.fd() >= 0) forget_in_children(rules_.fd());
    if (tap_ >= 0) {
        forget_in_children(tap_);
        close(tap_);
    }
}

Status LivePath::open(u32 ifindex) {
    TRY(look_at(ifindex));
    TRY(make_tap());
    Netlink route;
    TRY(route.open(NETLINK_ROUTE));
    TRY(set_tap_up(route));
    TRY(redirect_tap(route, ifindex));
    TRY(rules_.open(NETLINK_NETFILTER));
    close_in_children(rules_.fd());
    TRY(make_rules(ifindex));
    guard_tap();
    return {};
}

// The interface's name, address and MTU; and nothing that would see frames before us.
Status LivePath::look_at(u32 ifindex) {
    if (if_indextoname(ifindex, device_) == nullptr)
        return fail(Errc::NoDevice, {}, "network interface", ifindex);
    const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0) return fail_errno("socket; errno");
    ifreq request{};
    std::memcpy(request.ifr_name, device_, sizeof device_);
    const bool has_mtu = ioctl(any, SIOCGIFMTU, &request) == 0;
    mtu_ = static_cast<u32>(request.ifr_mtu);
    const bool has_address = ioctl(any, SIOCGIFHWADDR, &request) == 0;
    close(any);
    if (!has_mtu || !has_address) return fail_errno("network interface; errno");
    const u16 type = request.ifr_hwaddr.sa_family;
    if (type != ARPHRD_ETHER && type != ARPHRD_LOOPBACK)
        return fail(Errc::NotSupported, {}, "an interface that is not Ethernet; type", type);
    std::memcpy(address_, request.ifr_hwaddr.sa_data, sizeof address_);

    // tc's ingress comes after us when frames arrive but before the rules, so that it would see
    // frames that the program drops, and see the others twice.
    Netlink route;
    TRY(route.open(NETLINK_ROUTE));
    NetlinkMessages query;
    tcmsg all{};
    all.tcm_ifindex = static_cast<int>(ifindex);
    query.begin(RTM_GETQDISC, NLM_F_DUMP, all);
    bool has_ingress = false;
    TRY(route.dump(query, "qdiscs; errno", [&](const nlmsghdr& message) {
        if (message.nlmsg_type != RTM_NEWQDISC) return;
        const auto* qdisc = static_cast<const tcmsg*>(NLMSG_DATA(&message));
        if (qdisc->tcm_ifindex == static_cast<int>(ifindex) && qdisc->tcm_parent == TC_H_INGRESS)
            has_ingress = true;
    }));
    if (has_ingress) {
        return fail(Errc::NotSupported, {},
                    "an interface with a tc ingress or clsact qdisc; interface", ifindex);
    }
    return {};
}

Status LivePath::make_tap() {
    tap_ = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tap_ < 0) return fail_errno("/dev/net/tun; errno");
    close_in_children(tap_);
    ifreq request{};
    std::snprintf(request.ifr_name, sizeof request.ifr_name, "xdp%%d");
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(tap_, TUNSETIFF, &request) != 0) return fail_errno("TAP device; errno");
    std::memcpy(tap_name_, request.ifr_name, sizeof tap_name_);
    tap_index_ = if_nametoindex(tap_name_);
    if (tap_index_ == 0) return fail_errno("TAP device; errno");
    return {};
}

// The TAP device, without addresses of its own.
Status LivePath::set_tap_up(Netlink& route) {
    ifinfomsg link{};
    link.ifi_index = static_cast<int>(tap_index_);
    {
        // First, so that IPv6 does not speak there. There may be no IPv6.
        Netlink own;
        TRY(own.open(NETLINK_ROUTE));
        NetlinkMessages quiet;
        quiet.begin(RTM_NEWLINK, NLM_F_ACK, link);
        quiet.nested(IFLA_AF_SPEC, [&] {
            quiet.nested(AF_INET6, [&] {
                quiet.value(IFLA_INET6_ADDR_GEN_MODE, static_cast<u8>(IN6_ADDR_GEN_MODE_NONE));
            });
        });
        own.try_to(quiet);
    }
    NetlinkMessages up;
    link.ifi_flags = IFF_UP | IFF_NOARP;
    link.ifi_change = IFF_UP | IFF_NOARP | IFF_MULTICAST;
    up.begin(RTM_NEWLINK, NLM_F_ACK, link);
    up.value(IFLA_MTU, kTapMtu);
    // The loopback interface has no address; there every frame is for this machine.
    constexpr u8 kNone[6] = {};
    if (std::memcmp(address_, kNone, sizeof kNone) != 0)
        up.attribute(IFLA_ADDRESS, address_, sizeof address_);
    return route.ask(up, "TAP device; errno");
}

// All that is sent through the TAP device goes to the ingress of `ifindex`.
Status LivePath::redirect_tap(Netlink& route, u32 ifindex) {
    tcmsg qdisc{};
    qdisc.tcm_ifindex = static_cast<int>(tap_index_);
    qdisc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    qdisc.tcm_parent = TC_H_CLSACT;
    NetlinkMessages clsact;
    clsact.begin(RTM_NEWQDISC, NLM_F_ACK | kCreate, qdisc);
    clsact.text(TCA_KIND, "clsact");
    TRY(route.ask(clsact, "clsact qdisc; errno"));

    tcmsg filter{};
    filter.tcm_ifindex = qdisc.tcm_ifindex;
    filter.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);
    filter.tcm_info = TC_H_MAKE(1u << 16, htons(0x0003));  // priority 1, ETH_P_ALL
    tc_u32_sel selector{};
    selector.flags = TC_U32_TERMINAL;
    selector.nkeys = 1;
    // The selector and one key, whose mask of 0 fits everything.
    std::array<u8, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> match{};
    std::memcpy(match.data(), &selector, sizeof selector);
    tc_mirred redirect{};
    redirect.action = TC_ACT_STOLEN;
    redirect.eaction = TCA_INGRESS_REDIR;
    redirect.ifindex = ifindex;
    NetlinkMessages all;
    all.begin(RTM_NEWTFILTER, NLM_F_ACK | kCreate, filter);
    all.text(TCA_KIND, "u32");
    all.nested(TCA_OPTIONS, [&] {
        all.attribute(TCA_U32_SEL, match.data(), match.size());
        all.nested(TCA_U32_ACT, [&] {
            all.nested(1, [&] {
                all.text(TCA_ACT_KIND, "mirred");
                all.nested(TCA_ACT_OPTIONS, [&] { all.value(TCA_MIRRED_PARMS, redirect); });
            });
        });
    });
    return route.ask(all, "tc filter u32 with action mirred; errno");
}

Status LivePath::make_rules(u32 ifindex) {
    do {
        fill_random({reinterpret_cast<std::byte*>(&mark_), sizeof mark_});
    } while (mark_ == 0);
    char table[32];
    std::snprintf(table, sizeof table, "casement-xdp-%u", ifindex);
    Rules rules(table);
    rules.add_table();
    rules.add_chain("tap", NF_NETDEV_INGRESS, tap_name_);
    rules.add_rule("tap", [&] {
        rules.set_mark(mark_);
        rules.send_to(tap_index_);
    });
    rules.add_chain("interface", NF_NETDEV_INGRESS, device_);
    rules.add_rule("interface", [&] {
        rules.if_mark_is(mark_);
        rules.set_mark(0);
        rules.accept();
    });
    const Status made =
        rules_.ask(rules.finish(), "nftables with owned tables (Linux 5.12); errno");
    // The privileges were seen to be there: the table is another socket's.
    if (!made && made.error() == Errc::AccessDenied)
        return fail(Errc::Busy, {}, "somebody has taken over interface", ifindex);
    return made;
}

// Whatever else believes that the TAP device is an interface to talk through must not be heard at
// the other one. Linux before 5.17 has no such rules: there we rely on having asked for no
// addresses.
void LivePath::guard_tap() {
    char table[32];
    std::snprintf(table, sizeof table, "casement-tap-%u", tap_index_);
    Rules rules(table);
    rules.add_table();
    rules.add_chain("egress", NF_NETDEV_EGRESS, tap_name_);
    rules.add_rule("egress", [&] {
        rules.if_mark_is(mark_);
        rules.accept();
    });
    rules_.try_to(rules.finish());
}

}  // namespace ebpf::platform
