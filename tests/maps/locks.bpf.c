// SPDX-License-Identifier: MIT
// Two counters that only change together, under a lock, in every kind of map that may have one.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "locks.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, struct twins);
} table SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct twins);
} row SEC(".maps");

struct row {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct twins);
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(values, struct row);
} rows SEC(".maps");

// XDP_DROP when somebody else was seen between the two.
static __always_inline int add(struct twins* twins) {
    bpf_spin_lock(&twins->lock);
    const __u64 first = twins->first++;
    const __u64 second = twins->second++;
    bpf_spin_unlock(&twins->lock);
    return first == second ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int in_table(struct xdp_md* ctx) {
    const __u32 key = 1;
    struct twins* twins = bpf_map_lookup_elem(&table, &key);
    return twins ? add(twins) : XDP_ABORTED;
}

SEC("xdp")
int in_row(struct xdp_md* ctx) {
    const __u32 key = 1;
    struct twins* twins = bpf_map_lookup_elem(&row, &key);
    return twins ? add(twins) : XDP_ABORTED;
}

SEC("xdp")
int in_inner_row(struct xdp_md* ctx) {
    const __u32 zero = 0, key = 1;
    void* inner = bpf_map_lookup_elem(&rows, &zero);
    if (!inner) return XDP_ABORTED;
    struct twins* twins = bpf_map_lookup_elem(inner, &key);
    return twins ? add(twins) : XDP_ABORTED;
}

// The program's own update of both at once.
SEC("xdp")
int set_both(struct xdp_md* ctx) {
    const __u32 key = 1;
    struct twins fresh = {.first = 1000, .second = 1000};
    bpf_map_update_elem(&row, &key, &fresh, BPF_F_LOCK);
    return bpf_map_update_elem(&table, &key, &fresh, BPF_F_LOCK) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
