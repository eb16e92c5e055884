// SPDX-License-Identifier: MIT
//
// drop_empty_udp without the check that the UDP header is inside the frame. It works for every
// ordinary packet, and reads behind the end of one that was cut off: the verifier must reject it.
#include "count.h"
#include "parse.h"

#include <linux/udp.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct counters);
} counts SEC(".maps");

SEC("xdp")
int drop_empty_udp_unsafe(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;

    struct packet packet = parse(data, data_end);
    if (packet.protocol != IPPROTO_UDP || !packet.transport) return XDP_PASS;

    struct udphdr* udp = packet.transport;

    int empty = udp->len == bpf_htons(sizeof(*udp));
    if (!empty) return XDP_PASS;

    __u32 key = IPPROTO_UDP;
    struct counters* c = bpf_map_lookup_elem(&counts, &key);
    if (c) __sync_fetch_and_add(&c->dropped, 1);
    return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
