/* SPDX-License-Identifier: MIT */
/* What samples.bpf.c and perf_test.cpp share. */
#pragma once

#include <linux/types.h>

struct sample {
    __u64 number; /* how many the CPU had sent or lost before */
    __u32 cpu;
    __u32 pad;
};

struct settings {
    __u64 flags;     /* of bpf_perf_event_output */
    __u64 oversized; /* sends 4,096 bytes instead */
};
