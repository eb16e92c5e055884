/* SPDX-License-Identifier: MIT */
/* IPv4 and IPv6 headers, by both systems' names; bit-fields as little-endian compilers order them.
 */
#ifndef CASEMENT_NET_IP_H
#define CASEMENT_NET_IP_H

#include <stdint.h>

#define IPPROTO_ICMP 1
#define IPPROTO_IPV4 4
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_IPV6 41

/* Windows' numbers. */
#define AF_INET 2
#define AF_INET6 23

#ifndef DEFAULT_COMPARTMENT_ID
#define DEFAULT_COMPARTMENT_ID 1
#endif

#define EBPF_TWO_NAMES(type, windows_name, linux_name) \
    union {                                            \
        type windows_name;                             \
        type linux_name;                               \
    }

typedef struct _IPV4_HEADER {
    union {
        uint8_t VersionAndHeaderLength;
        struct {
            uint8_t HeaderLength : 4;
            uint8_t Version : 4;
        };
        struct {
            uint8_t ihl : 4;
            uint8_t version : 4;
        };
    };
    union {
        uint8_t TypeOfServiceAndEcnField;
        uint8_t tos;
        struct {
            uint8_t EcnField : 2;
            uint8_t TypeOfService : 6;
        };
    };
    EBPF_TWO_NAMES(uint16_t, TotalLength, tot_len);
    EBPF_TWO_NAMES(uint16_t, Identification, id);
    union {
        uint16_t FlagsAndOffset;
        uint16_t frag_off;
        struct {
            uint16_t DontUse1 : 5; /* high bits of the fragment offset */
            uint16_t MoreFragments : 1;
            uint16_t DontFragment : 1;
            uint16_t Reserved : 1;
            uint16_t DontUse2 : 8; /* its low bits */
        };
    };
    EBPF_TWO_NAMES(uint8_t, TimeToLive, ttl);
    EBPF_TWO_NAMES(uint8_t, Protocol, protocol);
    EBPF_TWO_NAMES(uint16_t, HeaderChecksum, check);
    EBPF_TWO_NAMES(uint32_t, SourceAddress, saddr);
    EBPF_TWO_NAMES(uint32_t, DestinationAddress, daddr);
} IPV4_HEADER, *PIPV4_HEADER;

typedef uint8_t ipv6_address_t[16];

typedef struct _IPV6_HEADER {
    union {
        uint32_t VersionClassFlow;
        struct {
            uint32_t : 4;
            uint32_t Version : 4;
            uint32_t : 24;
        };
    };
    EBPF_TWO_NAMES(uint16_t, PayloadLength, payload_len);
    EBPF_TWO_NAMES(uint8_t, NextHeader, nexthdr);
    EBPF_TWO_NAMES(uint8_t, HopLimit, hop_limit);
    EBPF_TWO_NAMES(ipv6_address_t, SourceAddress, saddr);
    EBPF_TWO_NAMES(ipv6_address_t, DestinationAddress, daddr);
} IPV6_HEADER, *PIPV6_HEADER;

#define iphdr _IPV4_HEADER
#define ipv6hdr _IPV6_HEADER

#endif /* CASEMENT_NET_IP_H */
