// SPDX-License-Identifier: MIT
//
// Two XDP programs in the dialect of eBPF for Windows: its headers, its numbers of verdicts, map
// types and helpers. `droppacket` drops UDP datagrams without data that came from the watched
// interface, and remembers who sent them; `untag` takes the 802.1Q tag off a frame.
#include "bpf_endian.h"
#include "bpf_helpers.h"
#include "ebpf_nethooks.h"
#include "net/if_ether.h"
#include "net/ip.h"
#include "net/udp.h"

#include "droppacket.h"

#define ETHERNET_TYPE_VLAN 0x8100
#define FRAGMENT_OFFSET 0x1fff

// The interface to watch; 0 is every one.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, uint32_t);
    __type(value, uint32_t);
    __uint(max_entries, 1);
} watched_interface SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, uint32_t);
    __type(value, uint64_t);
    __uint(max_entries, PACKET_COUNTERS);
} packets SEC(".maps");

// IPv4 source address, in network order, to the number of its datagrams that were dropped. When it
// is full, further senders are not remembered.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, uint32_t);
    __type(value, uint64_t);
    __uint(max_entries, 1024);
} senders SEC(".maps");

static __always_inline void count(uint32_t counter) {
    uint64_t* value = bpf_map_lookup_elem(&packets, &counter);
    if (value) *value += 1;
}

static __always_inline void remember(uint32_t sender) {
    uint64_t* known = bpf_map_lookup_elem(&senders, &sender);
    if (known) {
        __sync_fetch_and_add(known, 1);
        return;
    }
    uint64_t one = 1;
    bpf_map_update_elem(&senders, &sender, &one, BPF_ANY);
}

// The prototypes are checked against the hook's.
xdp_hook_t droppacket;
xdp_hook_t untag;

SEC("xdp")
xdp_action_t droppacket(xdp_md_t* ctx) {
    uint32_t zero = 0;
    uint32_t* watched = bpf_map_lookup_elem(&watched_interface, &zero);
    if (watched && *watched != 0 && *watched != ctx->ingress_ifindex) {
        count(PACKETS_OTHER_INTERFACE);
        return XDP_PASS;
    }

    char* end = ctx->data_end;
    ETHERNET_HEADER* ethernet = ctx->data;
    IPV4_HEADER* ip = (IPV4_HEADER*)(ethernet + 1);
    if ((char*)(ip + 1) > end) goto pass;
    if (ethernet->Type != htons(ETHERNET_TYPE_IPV4) || ip->Version != 4) goto pass;
    if (ip->Protocol != IPPROTO_UDP || ip->HeaderLength < 5) goto pass;
    // Only the first fragment has a UDP header.
    if (ip->FlagsAndOffset & htons(FRAGMENT_OFFSET)) goto pass;

    UDP_HEADER* udp = (UDP_HEADER*)((char*)ip + ip->HeaderLength * 4);
    if ((char*)(udp + 1) > end || ntohs(udp->length) > sizeof(*udp)) goto pass;
    remember(ip->SourceAddress);
    count(PACKETS_DROPPED);
    return XDP_DROP;
pass:
    count(PACKETS_PASSED);
    return XDP_PASS;
}

SEC("xdp")
xdp_action_t untag(xdp_md_t* ctx) {
    enum { TAG = 4, ADDRESSES = 2 * sizeof(mac_address_t) };
    ETHERNET_HEADER* tagged = ctx->data;
    if ((char*)(tagged + 1) + TAG > (char*)ctx->data_end) return XDP_PASS;
    if (tagged->Type != htons(ETHERNET_TYPE_VLAN)) return XDP_PASS;

    char addresses[ADDRESSES];
    memcpy(addresses, tagged, ADDRESSES);
    if (bpf_xdp_adjust_head(ctx, TAG) != 0) return XDP_DROP;
    ETHERNET_HEADER* plain = ctx->data;  // the packet has moved: check anew
    if ((char*)(plain + 1) > (char*)ctx->data_end) return XDP_DROP;
    memcpy(plain, addresses, ADDRESSES);
    return XDP_TX;
}

char LICENSE[] SEC("license") = "MIT";
