// SPDX-License-Identifier: MIT
// What the program tells its loader about a packet that it finds worth a note.
#pragma once

#include <linux/types.h>

struct packet_event {
    __u32 cpu;
    __u32 size;
    __u16 ether_type;  // in host order
    __u16 pad;
};
