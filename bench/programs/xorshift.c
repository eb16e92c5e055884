// SPDX-License-Identifier: MIT
// Marsaglia's xorshift64* generator, the input as seeds: shifts, exclusive ors, one multiplication.
#include "program.h"

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    const u64* words = (const u64*)data;
    u64 x = size | 1, sum = 0;
    for (u64 i = 0; i < size / 8; ++i) {
        x ^= words[i];
        for (u32 round = 0; round < 4; ++round) {
            x ^= x >> 12;
            x ^= x << 25;
            x ^= x >> 27;
            sum += x * 0x2545F4914F6CDD1Du;
        }
    }
    return sum ^ x;
}
