/* SPDX-License-Identifier: MIT */
#ifndef CASEMENT_NET_UDP_H
#define CASEMENT_NET_UDP_H

#include <stdint.h>

typedef struct UDP_HEADER_ {
    uint16_t srcPort;
    uint16_t destPort;
    uint16_t length; /* of header and data */
    uint16_t checksum;
} UDP_HEADER;

#endif /* CASEMENT_NET_UDP_H */
