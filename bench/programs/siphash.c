// SPDX-License-Identifier: MIT
// SipHash-2-4 (Aumasson and Bernstein, 2012) over whole words.
#include "program.h"

#define ROUND                                                       \
    do {                                                            \
        v0 += v1, v1 = rol64(v1, 13), v1 ^= v0, v0 = rol64(v0, 32); \
        v2 += v3, v3 = rol64(v3, 16), v3 ^= v2;                     \
        v0 += v3, v3 = rol64(v3, 21), v3 ^= v0;                     \
        v2 += v1, v1 = rol64(v1, 17), v1 ^= v2, v2 = rol64(v2, 32); \
    } while (0)

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    const u64 k0 = 0x0706050403020100, k1 = 0x0F0E0D0C0B0A0908;
    u64 v0 = k0 ^ 0x736F6D6570736575, v1 = k1 ^ 0x646F72616E646F6D;
    u64 v2 = k0 ^ 0x6C7967656E657261, v3 = k1 ^ 0x7465646279746573;
    const u64* words = (const u64*)data;
    for (u64 i = 0; i < size / 8; ++i) {
        v3 ^= words[i];
        ROUND;
        ROUND;
        v0 ^= words[i];
    }
    v3 ^= size << 56;
    ROUND;
    ROUND;
    v0 ^= size << 56;
    v2 ^= 0xFF;
    ROUND;
    ROUND;
    ROUND;
    ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}
