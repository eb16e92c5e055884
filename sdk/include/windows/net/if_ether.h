/* SPDX-License-Identifier: MIT */
#ifndef CASEMENT_NET_IF_ETHER_H
#define CASEMENT_NET_IF_ETHER_H

#include <stdint.h>

typedef uint8_t mac_address_t[6];

#define ETHERNET_TYPE_IPV4 0x0800
#define ETHERNET_TYPE_IPV6 0x86dd
#define ETH_P_IP ETHERNET_TYPE_IPV4
#define ETH_P_IPV6 ETHERNET_TYPE_IPV6

/* By both systems' names. */
typedef struct _ETHERNET_HEADER {
    union {
        mac_address_t Destination;
        mac_address_t h_dest;
    };
    union {
        mac_address_t Source;
        mac_address_t h_source;
    };
    union {
        uint16_t Type;
        uint16_t Length;
        uint16_t h_proto;
    };
} ETHERNET_HEADER, *PETHERNET_HEADER;

#define ethhdr _ETHERNET_HEADER

#endif /* CASEMENT_NET_IF_ETHER_H */
