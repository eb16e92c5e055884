// SPDX-License-Identifier: MIT
// What the program tells its loader about a packet; `captured` bytes of it follow.
#pragma once

#include <linux/types.h>

#define SAMPLE_BYTES 32

struct packet_sample {
    __u32 length;
    __u32 captured;
};
