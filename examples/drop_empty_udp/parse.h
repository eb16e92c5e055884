// SPDX-License-Identifier: MIT
//
// From the first byte of an Ethernet frame to its transport header. Each step checks that the bytes
// it is going to read are inside the frame before it reads them: that is all the verifier asks for.
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN_DEPTH 2       // 802.1ad outside 802.1Q
#define IPV6_EXTENSIONS 4  // extension headers that are followed before giving up
#define IP_FRAGMENT_OFFSET 0x1fff
#define NOT_IP 0x10000  // added to an EtherType, so that it is no IP protocol number

struct vlan_tag {
    __be16 control;
    __be16 ether_type;
};

struct ipv6_extension {
    __u8 next;
    __u8 length;
};

struct packet {
    __u32 protocol;   // of IP, or NOT_IP + EtherType
    void* transport;  // what stands behind the IP headers, or NULL (later fragment, truncated, not
                      // IP)
};

static __always_inline int is_vlan(__be16 ether_type) {
    return ether_type == bpf_htons(ETH_P_8021Q) || ether_type == bpf_htons(ETH_P_8021AD);
}

static __always_inline void parse_ipv4(void* data, void* data_end, struct packet* packet) {
    struct iphdr* ip = data;
    if ((void*)(ip + 1) > data_end || ip->version != 4 || ip->ihl < 5) return;
    packet->protocol = ip->protocol;
    // Only the first fragment has a transport header.
    if (ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET)) return;
    packet->transport = data + ip->ihl * 4;
}

static __always_inline void parse_ipv6(void* data, void* data_end, struct packet* packet) {
    struct ipv6hdr* ip = data;
    if ((void*)(ip + 1) > data_end || ip->version != 6) return;

    __u8 next = ip->nexthdr;
    void* header = ip + 1;
    for (int i = 0; i < IPV6_EXTENSIONS; ++i) {
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
            next != IPPROTO_FRAGMENT) {
            packet->protocol = next;
            packet->transport = header;
            return;
        }
        struct ipv6_extension* extension = header;
        if (header + 8 > data_end) break;
        if (next == IPPROTO_FRAGMENT) {
            __be16 offset = *(__be16*)(header + 2);
            if (offset & bpf_htons(0xfff8)) {  // not the first fragment
                packet->protocol = extension->next;
                return;
            }
            next = extension->next;
            header += 8;
        } else {
            next = extension->next;
            header += (extension->length + 1) * 8;
        }
    }
    packet->protocol = next;
}

static __always_inline struct packet parse(void* data, void* data_end) {
    struct packet packet = {.protocol = NOT_IP, .transport = 0};
    struct ethhdr* ethernet = data;
    if ((void*)(ethernet + 1) > data_end) return packet;

    __be16 ether_type = ethernet->h_proto;
    void* header = ethernet + 1;
    for (int i = 0; i < VLAN_DEPTH && is_vlan(ether_type); ++i) {
        struct vlan_tag* tag = header;
        if ((void*)(tag + 1) > data_end) return packet;
        ether_type = tag->ether_type;
        header = tag + 1;
    }

    packet.protocol = NOT_IP + bpf_ntohs(ether_type);
    if (ether_type == bpf_htons(ETH_P_IP)) parse_ipv4(header, data_end, &packet);
    if (ether_type == bpf_htons(ETH_P_IPV6)) parse_ipv6(header, data_end, &packet);
    return packet;
}
