// SPDX-License-Identifier: MIT
// Kernel functions: loops over numbers, and packets read through dynamic pointers.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_kfuncs.h>

#include "kfuncs.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct kfuncs_findings);
} findings SEC(".maps");

extern int bpf_function_that_no_kernel_has(void) __weak __ksym;

static struct kfuncs_findings* found(void) {
    __u32 key = 0;
    return bpf_map_lookup_elem(&findings, &key);
}

SEC("xdp")
int loops(struct xdp_md* ctx) {
    struct kfuncs_findings* f = found();
    if (!f) return XDP_ABORTED;
    int i, j;
    bpf_for(i, -3, 5) f->sum += i;
    bpf_for(i, 0, 4) {
        bpf_for(j, i, 4) f->pairs++;
        if (f->pairs == 7) break;
    }
    bpf_repeat(1000) f->repeated++;
    bpf_for(i, 5, 5) f->nothing++;
    bpf_for(i, 6, 5) f->nothing++;
    bpf_for(i, 0, (1 << 23) + 1) f->nothing++;
    f->exists = bpf_ksym_exists(bpf_iter_num_new);
    f->exists_not = bpf_ksym_exists(bpf_function_that_no_kernel_has);
    if (bpf_ksym_exists(bpf_function_that_no_kernel_has))
        f->nothing += bpf_function_that_no_kernel_has();
    return XDP_PASS;
}

// Lowers the time to live, and adds up the payload behind the IP header.
SEC("xdp")
int packet(struct xdp_md* ctx) {
    struct kfuncs_findings* f = found();
    struct bpf_dynptr whole, rest;
    if (!f || bpf_dynptr_from_xdp(ctx, 0, &whole)) return XDP_ABORTED;
    f->size = bpf_dynptr_size(&whole);
    struct ethhdr ethernet_buffer;
    const struct ethhdr* ethernet =
        bpf_dynptr_slice(&whole, 0, &ethernet_buffer, sizeof ethernet_buffer);
    if (!ethernet || ethernet->h_proto != __builtin_bswap16(ETH_P_IP)) return XDP_DROP;
    struct iphdr* ip = bpf_dynptr_slice_rdwr(&whole, sizeof *ethernet, 0, sizeof *ip);
    if (!ip || ip->ihl < 5) return XDP_DROP;
    ip->ttl--;
    __u32 header = sizeof *ethernet + ip->ihl * 4;
    if (bpf_dynptr_clone(&whole, &rest)) return XDP_ABORTED;
    if (bpf_dynptr_adjust(&rest, header, f->size)) return XDP_DROP;
    f->rest = bpf_dynptr_size(&rest);
    int i;
    bpf_for(i, 0, f->rest) {
        const __u8* byte = bpf_dynptr_slice(&rest, i, 0, 1);
        if (!byte) break;
        f->sum += *byte;
    }
    f->beyond = bpf_dynptr_slice(&rest, f->rest, 0, 1) != 0;
    f->adjusted = bpf_dynptr_adjust(&rest, 0, f->rest + 1);
    f->flags = bpf_dynptr_from_xdp(ctx, 1, &rest);
    f->null = bpf_dynptr_is_null(&rest);
    // What the packet loses, the dynamic pointer loses too.
    if (bpf_xdp_adjust_tail(ctx, -4)) return XDP_ABORTED;
    __u32 end;
    f->cut = bpf_dynptr_read(&end, sizeof end, &whole, f->size - 4, 0);
    return bpf_dynptr_memset(&whole, 0, 6, 0xee) ? XDP_ABORTED : XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
