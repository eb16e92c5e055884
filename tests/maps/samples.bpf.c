// SPDX-License-Identifier: MIT
// Sends a sample, with the flags that the test asks for; its result is the helper's, turned
// positive.
#include "samples.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
} samples SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct settings);
} settings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} numbers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __uint(value_size, 4096);
} large SEC(".maps");

SEC("xdp")
int send(struct xdp_md* ctx) {
    __u32 zero = 0;
    struct settings* asked = bpf_map_lookup_elem(&settings, &zero);
    __u64* number = bpf_map_lookup_elem(&numbers, &zero);
    char* much = bpf_map_lookup_elem(&large, &zero);
    if (!asked || !number || !much) return 1000;
    struct sample sample = {.number = *number, .cpu = bpf_get_smp_processor_id()};
    *number += 1;
    if (asked->oversized) {
        return -bpf_perf_event_output(ctx, &samples, asked->flags, much, 4096);
    }
    return -bpf_perf_event_output(ctx, &samples, asked->flags, &sample, sizeof sample);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
