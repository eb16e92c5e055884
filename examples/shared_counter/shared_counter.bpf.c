// SPDX-License-Identifier: MIT
//
// Counts packets and bytes of each EtherType. A lock in the value keeps the numbers together:
// who reads them under it never sees a packet whose bytes are still missing. (Where only sums are
// wanted, a per-CPU map needs no lock: packet_events.bpf.c.)
#include "shared_counter.h"

#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u16);
    __type(value, struct traffic);
} counters SEC(".maps");

SEC("xdp")
int shared_counter(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    struct ethhdr* ethernet = data;
    if ((void*)(ethernet + 1) > data_end) return XDP_PASS;
    const __u16 type = bpf_ntohs(ethernet->h_proto);
    const __u32 size = data_end - data;

    struct traffic* traffic = bpf_map_lookup_elem(&counters, &type);
    if (!traffic) {
        const struct traffic none = {};
        bpf_map_update_elem(&counters, &type, &none, BPF_NOEXIST);  // or somebody else did
        traffic = bpf_map_lookup_elem(&counters, &type);
        if (!traffic) return XDP_PASS;  // 64 other types came first
    }
    bpf_spin_lock(&traffic->lock);
    ++traffic->packets;
    traffic->bytes += size;
    if (size > traffic->largest) traffic->largest = size;
    bpf_spin_unlock(&traffic->lock);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
