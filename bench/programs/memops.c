// SPDX-License-Identifier: MIT
// Byte loops: copy to the stack (changed, or the compiler for BPF would write the copy out),
// compare, length of a string, find. A C compiler makes them calls of its library or vector
// instructions; listed apart.
#include "program.h"

enum { kBytes = 128 };

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    u8 copy[kBytes];
    u64 sum = 0;
    for (u64 at = 0; at + kBytes <= size; at += kBytes) {
#pragma clang loop unroll(disable)
        for (u32 i = 0; i < kBytes; ++i) copy[i] = data[at + i] ^ 0x20;
        __asm__ volatile("" : : "r"(copy) : "memory");
        u32 same = 0;
        while (same < kBytes && copy[same] == (data[at + same] ^ 0x20)) ++same;
        u32 length = 0;
        while (length < kBytes && copy[length] != 0) ++length;
        u32 found = 0;
        while (found < kBytes && copy[found] != 0x7F) ++found;
        sum = sum * 31 + same + length * 7 + found;
    }
    return sum;
}
