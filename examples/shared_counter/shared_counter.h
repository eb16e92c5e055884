// SPDX-License-Identifier: MIT
// What is counted of each EtherType. Both numbers belong together, so a lock guards them.
#pragma once

#include <linux/bpf.h>

struct traffic {
    struct bpf_spin_lock lock;
    __u32 largest;  // bytes
    __u64 packets;
    __u64 bytes;
};
