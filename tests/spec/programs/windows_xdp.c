// SPDX-License-Identifier: MIT
// A packet filter in the style of eBPF for Windows' samples: legacy maps, its network headers.
#include "bpf_endian.h"
#include "bpf_helpers.h"
#include "net/if_ether.h"
#include "net/ip.h"
#include "net/tcp.h"
#include "net/udp.h"

SEC("maps")
struct bpf_map_def dropped = {.type = BPF_MAP_TYPE_ARRAY,
                              .key_size = sizeof(uint32_t),
                              .value_size = sizeof(uint64_t),
                              .max_entries = 1};

SEC("maps")
ebpf_map_definition_in_file_t interfaces = {.type = BPF_MAP_TYPE_PERCPU_HASH,
                                            .key_size = sizeof(uint32_t),
                                            .value_size = sizeof(uint32_t),
                                            .max_entries = 8,
                                            .pinning = LIBBPF_PIN_BY_NAME};

// The prototype is checked against the hook's.
xdp_hook_t filter;

SEC("xdp")
xdp_action_t filter(xdp_md_t* ctx) {
    uint32_t key = 0;
    ETHERNET_HEADER* ethernet = (ETHERNET_HEADER*)ctx->data;
    IPV4_HEADER* ip = (IPV4_HEADER*)(ethernet + 1);
    UDP_HEADER* udp = (UDP_HEADER*)(ip + 1);
    if ((char*)(udp + 1) > (char*)ctx->data_end) return XDP_PASS;
    if (ntohs(ethernet->Type) != ETHERNET_TYPE_IPV4 || ip->Protocol != IPPROTO_UDP) return XDP_PASS;
    if (ip->HeaderLength != 5 || ntohs(udp->length) > sizeof(UDP_HEADER)) return XDP_PASS;

    uint32_t* interface = bpf_map_lookup_elem(&interfaces, &key);
    if (interface != NULL && *interface != ctx->ingress_ifindex) return XDP_PASS;
    uint64_t* count = bpf_map_lookup_elem(&dropped, &key);
    if (count) (*count)++;
    bpf_xdp_adjust_head(ctx, 4);
    return XDP_DROP;
}
