// SPDX-License-Identifier: MIT
//
// Counts packets per CPU, without atomic operations since each CPU has its own counter, and sends
// an event for every frame that is larger than a limit. The limit is a constant of the loader's
// choice.
#include "packet_events.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 size_limit = 1000;

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} packets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 256 * 1024);
} events SEC(".maps");

SEC("xdp")
int packet_events(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;

    __u32 zero = 0;
    __u64* counter = bpf_map_lookup_elem(&packets, &zero);
    if (counter) ++*counter;

    struct ethhdr* ethernet = data;
    if ((void*)(ethernet + 1) > data_end) return XDP_PASS;
    __u32 size = data_end - data;
    if (size <= size_limit) return XDP_PASS;

    struct packet_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event) return XDP_PASS;  // the loader does not keep up: events are lost, packets are not
    event->cpu = bpf_get_smp_processor_id();
    event->size = size;
    event->ether_type = bpf_ntohs(ethernet->h_proto);
    event->pad = 0;
    bpf_ringbuf_submit(event, 0);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
