/* SPDX-License-Identifier: MIT */
/* What user_ring.bpf.c and user_ring_test.cpp share. */
#pragma once

#include <linux/types.h>

enum { kPrefix = 8, kMaxKept = 64 };

struct order {
    __u64 flags;   /* of bpf_user_ringbuf_drain */
    __u64 stop_at; /* records, 0: never */
};

struct kept {
    __u64 count;
    __s64 nested; /* what draining in the callback answered */
    __s64 write;  /* what writing to a record answered */
    __u64 sizes[kMaxKept];
    char prefixes[kMaxKept][kPrefix]; /* the first bytes of records that have as many */
};
