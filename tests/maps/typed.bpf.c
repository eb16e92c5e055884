// SPDX-License-Identifier: MIT
// Maps described by types, and a program of two functions.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct pair {
    __u32 left;
    __u32 right;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, struct pair);
} pairs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
    __uint(max_entries, 8);
    __type(value, __u32);
    __uint(map_extra, 3);
} seen SEC(".maps");

static __attribute__((noinline)) __u32 sum(const struct pair* pair) {
    return pair->left + pair->right;
}

SEC("xdp")
int typed(struct xdp_md* ctx) {
    __u32 key = 1;
    struct pair* pair = bpf_map_lookup_elem(&pairs, &key);
    if (!pair) return XDP_PASS;
    bpf_ringbuf_output(&events, &key, sizeof key, 0);
    return sum(pair) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
