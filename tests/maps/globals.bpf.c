// SPDX-License-Identifier: MIT
// Global variables, as an application shares them with its programs.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile __u32 step = 2;
__u64 total = 100;
__u64 runs;

SEC("xdp")
int count(struct xdp_md* ctx) {
    total += step;
    runs++;
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
