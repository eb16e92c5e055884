// SPDX-License-Identifier: MIT
//
// Drops UDP datagrams that carry no data, over IPv4 and IPv6, and counts what passed and what was
// dropped of each protocol. The counters are read from outside with bpf_map__lookup_elem().
#include "count.h"
#include "parse.h"

#include <linux/udp.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct counters);
} counts SEC(".maps");

static __always_inline int count(__u32 protocol, int verdict) {
    struct counters* c = bpf_map_lookup_elem(&counts, &protocol);
    if (!c) {
        // The first packet of its protocol. Another CPU may be quicker: then its entry is the one.
        struct counters zero = {};
        bpf_map_update_elem(&counts, &protocol, &zero, BPF_NOEXIST);
        c = bpf_map_lookup_elem(&counts, &protocol);
        if (!c) return verdict;
    }
    if (verdict == XDP_DROP)
        __sync_fetch_and_add(&c->dropped, 1);
    else
        __sync_fetch_and_add(&c->passed, 1);
    return verdict;
}

SEC("xdp")
int drop_empty_udp(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;

    struct packet packet = parse(data, data_end);
    if (packet.protocol != IPPROTO_UDP || !packet.transport)
        return count(packet.protocol, XDP_PASS);

    struct udphdr* udp = packet.transport;
    if ((void*)(udp + 1) > data_end)
        return count(IPPROTO_UDP, XDP_PASS);  // cut off: not ours to judge

    int empty = udp->len == bpf_htons(sizeof(*udp));
    return count(IPPROTO_UDP, empty ? XDP_DROP : XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
