// SPDX-License-Identifier: MIT
// The value that locks.bpf.c and its test share.
#pragma once

#include <linux/bpf.h>

struct twins {
    __u64 first;
    struct bpf_spin_lock lock;
    __u32 after;
    __u64 second;
};
