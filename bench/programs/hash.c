// SPDX-License-Identifier: MIT
// FNV-1a over bytes, and a rotate-and-multiply hash over words, as hash maps use them.
#include "program.h"

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    u32 fnv = 2166136261u;
    for (u64 i = 0; i < size; ++i) fnv = (fnv ^ data[i]) * 16777619u;

    u32 h = (u32)size;
    const u32* words = (const u32*)data;
    for (u64 i = 0; i < size / 4; ++i) {
        u32 k = words[i] * 0xCC9E2D51u;
        k = rol32(k, 15) * 0x1B873593u;
        h = rol32(h ^ k, 13) * 5 + 0xE6546B64u;
    }
    return (u64)fnv << 32 | h;
}
