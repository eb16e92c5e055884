// SPDX-License-Identifier: MIT
//
// The benchmark's programs are compiled twice from one source: for BPF, where PROGRAM is a
// section's only function, and for the machine at hand, as a function called PROGRAM. They read at
// most kInputBytes at `data`, write to the stack only, and return something that depends on every
// byte.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#ifdef __bpf__
#define ENTRY __attribute__((section("bench"), used))
#else
#define ENTRY
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))
enum { kInputBytes = 2048 };

static inline u32 rol32(u32 x, int n) {
    return x << n | x >> (32 - n);
}
static inline u64 rol64(u64 x, int n) {
    return x << n | x >> (64 - n);
}

ENTRY u64 PROGRAM(const u8* data, u64 size);
