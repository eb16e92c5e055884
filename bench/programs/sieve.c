// SPDX-License-Identifier: MIT
// Primes below 448, on the stack, several times; the sum of those that the input selects.
#include "program.h"

enum { kLimit = 448 };

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    u8 composite[kLimit];
    u64 sum = 0;
    for (u32 round = 0; round < 8; ++round) {
        for (u32 i = 0; i < kLimit; ++i) composite[i] = 0;
        for (u32 i = 2; i * i < kLimit; ++i) {
            if (composite[i]) continue;
            for (u32 k = i * i; k < kLimit; k += i) composite[k] = 1;
        }
        for (u32 i = 2; i < kLimit && i < size; ++i) {
            if (!composite[i]) sum += (u64)i * data[i] + round;
        }
    }
    return sum;
}
