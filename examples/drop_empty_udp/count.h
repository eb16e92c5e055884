// SPDX-License-Identifier: MIT
// How many packets of each protocol passed and were dropped; shared by the program and its loader.
#pragma once

#include <linux/types.h>

struct counters {
    __u64 passed;
    __u64 dropped;
};
