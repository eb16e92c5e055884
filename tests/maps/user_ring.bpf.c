// SPDX-License-Identifier: MIT
// Drains the application's records; its result is the helper's.
#include "user_ring.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_USER_RINGBUF);
    __uint(max_entries, 4096);
} records SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} other_direction SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct order);
} orders SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct kept);
} keep SEC(".maps");

struct bpf_dynptr;

static long nothing(struct bpf_dynptr* record, void* context) {
    return 0;
}

static long take(struct bpf_dynptr* record, struct order* order) {
    __u32 zero = 0;
    struct kept* kept = bpf_map_lookup_elem(&keep, &zero);
    if (!kept) return 1;
    __u64 n = kept->count;
    if (n < kMaxKept) {
        // The size: the largest that can be read.
        char byte;
        __u64 size = 0;
#pragma unroll
        for (int bit = 12; bit >= 0; --bit) {
            __u64 more = size + (1u << bit);
            if (bpf_dynptr_read(&byte, 1, record, more - 1, 0) == 0) size = more;
        }
        kept->sizes[n] = size;
        char* prefix = bpf_dynptr_data(record, 0, kPrefix);
        if (prefix) __builtin_memcpy(kept->prefixes[n], prefix, kPrefix);
        kept->write = bpf_dynptr_write(record, 0, "!", 1, 0);
    }
    kept->count = n + 1;
    return kept->count == order->stop_at;
}

static long drain_again(struct bpf_dynptr* record, void* context) {
    __u32 zero = 0;
    struct kept* kept = bpf_map_lookup_elem(&keep, &zero);
    if (kept) kept->nested = bpf_user_ringbuf_drain(&records, nothing, 0, 0);
    return 1;
}

SEC("xdp")
int drain_nested(struct xdp_md* ctx) {
    return bpf_user_ringbuf_drain(&records, drain_again, 0, 0);
}

SEC("xdp")
int drain(struct xdp_md* ctx) {
    __u32 zero = 0;
    struct order* asked = bpf_map_lookup_elem(&orders, &zero);
    if (!asked) return 1000;
    struct order order = *asked;
    return bpf_user_ringbuf_drain(&records, take, &order, order.flags);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
