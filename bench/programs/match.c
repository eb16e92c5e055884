// SPDX-License-Identifier: MIT
// Counts where a six-byte pattern of a small alphabet occurs, the plain way.
#include "program.h"

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    u8 pattern[8] = {1, 2, 1, 3, 1, 2};
    // The compiler must not know the pattern.
    __asm__ volatile("" : : "r"(pattern) : "memory");
    u64 found = 0, last = 0;
    for (u64 i = 0; i + 6 <= size; ++i) {
        u64 k = 0;
        while (k < 6 && (data[i + k] & 3) == pattern[k]) ++k;
        if (k == 6) {
            ++found;
            last = i;
        }
    }
    return found << 32 | last;
}
