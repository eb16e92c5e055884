// SPDX-License-Identifier: MIT
// Insertion sort of 64 words on the stack, then a digest of the order.
#include "program.h"

enum { kCount = 64 };

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    u32 v[kCount];
    const u32* words = (const u32*)data;
    for (u32 i = 0; i < kCount; ++i) v[i] = i < size / 4 ? words[i] : i;
    for (u32 i = 1; i < kCount; ++i) {
        const u32 x = v[i];
        u32 j = i;
        for (; j > 0 && v[j - 1] > x; --j) v[j] = v[j - 1];
        v[j] = x;
    }
    u64 digest = 0;
    for (u32 i = 0; i < kCount; ++i) digest = digest * 31 + v[i];
    return digest;
}
