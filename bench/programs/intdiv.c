// SPDX-License-Identifier: MIT
// Divisions and remainders, by constants and by data, and the integer logarithm.
#include "program.h"

ALWAYS_INLINE u32 log2_of(u32 v) {
    u32 r = (u32)(v > 0xFFFF) << 4;
    v >>= r;
    u32 s = (u32)(v > 0xFF) << 3;
    v >>= s;
    r |= s;
    s = (u32)(v > 0xF) << 2;
    v >>= s;
    r |= s;
    s = (u32)(v > 0x3) << 1;
    v >>= s;
    return r | s | v >> 1;
}

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    const u32* words = (const u32*)data;
    u64 sum = 0;
    for (u64 i = 0; i + 1 < size / 4; ++i) {
        const u32 a = words[i], b = words[i + 1] >> 20;
        sum += a / 10 + a % 1000 + log2_of(a);
        sum += ((u64)a << 8 | b) / 1000003;
        if (b != 0) sum ^= a / b + a % b;
    }
    return sum;
}
