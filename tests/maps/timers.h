// SPDX-License-Identifier: MIT
// What timers.bpf.c and its test share.
#pragma once

#include <linux/bpf.h>

struct timed {
    __u64 fired;
    struct bpf_timer timer;
    __u64 period;  // ns; not 0: the function starts the timer again
};

enum action {
    MAKE = 1,
    SET_FUNCTION = 2,
    START = 4,
    CANCEL = 8,
    DELETE = 16,
};

// What the test asks for, in the packet, and what the helpers answered.
struct request {
    __u32 map;  // 0 hash, 1 array, 2 lru
    __u32 key;
    __u32 actions;   // in the order of their bits
    __u32 function;  // 0 count, 1 cancel itself, 2 delete itself, 3 work long
    __u64 clock;
    __u64 ns;
    __u64 flags;
};
