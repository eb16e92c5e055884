// SPDX-License-Identifier: MIT
// Functions that are called, not inlined; one of them calls the other.
#include "program.h"

#define OTHER(name) __attribute__((noinline)) static ENTRY u64 name
OTHER(mix)(u64 a, u64 b);
OTHER(fold)(const u64* at, u64 seed);

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    const u64* words = (const u64*)data;
    u64 sum = 0;
    for (u64 i = 0; i + 1 < size / 8; ++i) sum = fold(words + i, sum) + mix(sum, i);
    return sum;
}

OTHER(mix)(u64 a, u64 b) {
    a ^= b >> 29;
    return a * 0x9E3779B97F4A7C15 + b;
}

OTHER(fold)(const u64* at, u64 seed) {
    const u64 low = mix(at[0], seed);
    return low ^ mix(at[1], low);
}
