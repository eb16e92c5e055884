// SPDX-License-Identifier: MIT
// Global variables, as an application shares them with its programs.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile __u32 step = 2;
__u64 total = 100;
__u64 runs;
__u64 by_step[8];

SEC("xdp")
int count(struct xdp_md* ctx) {
    total += step;
    runs++;
    by_step[step]++;  // safe as long as `step` is known to be what the application made it
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
