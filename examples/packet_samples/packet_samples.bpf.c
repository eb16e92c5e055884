// SPDX-License-Identifier: MIT
//
// Sends the beginning of every packet to the application, through the ring of the CPU that sees it.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "packet_samples.h"

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);  // without max_entries: a ring for every CPU
    __type(key, __u32);
    __type(value, __u32);
} samples SEC(".maps");

SEC("xdp")
int packet_samples(struct xdp_md* ctx) {
    struct packet_sample sample = {.length = ctx->data_end - ctx->data};
    sample.captured = sample.length < SAMPLE_BYTES ? sample.length : SAMPLE_BYTES;
    // The helper puts so many bytes of the packet behind the structure.
    __u64 flags = BPF_F_CURRENT_CPU | (__u64)sample.captured << 32;
    bpf_perf_event_output(ctx, &samples, flags, &sample, sizeof sample);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
