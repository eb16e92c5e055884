// SPDX-License-Identifier: MIT
// Greatest common divisors, bit counts and bit reversals of words.
#include "program.h"

ALWAYS_INLINE u32 count(u32 v) {
    v = v - (v >> 1 & 0x55555555);
    v = (v & 0x33333333) + (v >> 2 & 0x33333333);
    return ((v + (v >> 4)) & 0x0F0F0F0F) * 0x01010101 >> 24;
}

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    const u32* words = (const u32*)data;
    u64 sum = 0;
    for (u64 i = 0; i + 1 < size / 4; i += 2) {
        u32 a = words[i] | 1, b = words[i + 1] | 1;
        sum += count(a ^ b);
        for (u32 step = 0; step < 32 && a != b; ++step) {
            if (a < b) {
                const u32 t = a;
                a = b;
                b = t;
            }
            a -= b;
            while ((a & 1) == 0) a >>= 1;
        }
        sum = sum * 33 + a;
    }
    return sum;
}
