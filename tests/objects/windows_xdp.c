// SPDX-License-Identifier: MIT
// An XDP program for eBPF for Windows: only its context's type tells it from one for Linux.
#include "bpf.h"

typedef struct xdp_md {
    void *data, *data_end;
    u64 data_meta;
    u32 ingress_ifindex;
} xdp_md_t;

SEC("xdp")
int check_length(xdp_md_t* context) {
    return (u8*)context->data + 20 > (u8*)context->data_end ? 2 : 1;
}
