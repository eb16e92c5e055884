// SPDX-License-Identifier: MIT
// A program in libbpf's style: BTF maps, a ring buffer, a tail call, printing, byte order.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 128);
    __type(key, __u32);
    __type(value, __u64);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
} seen SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __uint(value_size, 4);
} next SEC(".maps");

const volatile __u16 wanted = bpf_htons(ETH_P_IP);

SEC("xdp")
int count(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if (data + sizeof(*eth) + sizeof(struct iphdr) > end) return XDP_ABORTED;
    switch (eth->h_proto) {
        case bpf_htons(ETH_P_IP):
            break;
        case bpf_htons(ETH_P_IPV6):
            return XDP_PASS;
        default:
            return eth->h_proto == wanted ? XDP_DROP : XDP_PASS;
    }
    struct iphdr* ip = (void*)(eth + 1);
    __u32 key = ip->saddr;
    __u64 one = 1;
    __u64* value = bpf_map_lookup_elem(&seen, &key);
    if (value)
        __sync_fetch_and_add(value, 1);
    else
        bpf_map_update_elem(&seen, &key, &one, BPF_ANY);

    __u64* record = bpf_ringbuf_reserve(&events, 8, 0);
    if (record) {
        *record = bpf_ktime_get_ns();
        bpf_ringbuf_submit(record, 0);
    }
    bpf_printk("none");
    bpf_printk("three %d %d %d", 1, key, ctx->rx_queue_index);
    bpf_printk("four %d %d %d %d", 1, 2, 3, key);
    bpf_tail_call_static(ctx, &next, 1);
    bpf_tail_call(ctx, &next, 0);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
