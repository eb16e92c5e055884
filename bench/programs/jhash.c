// SPDX-License-Identifier: MIT
// Jenkins' lookup3 hash of words, as Linux' maps use it.
#include "program.h"

#define MIX(a, b, c)                       \
    do {                                   \
        a -= c, a ^= rol32(c, 4), c += b;  \
        b -= a, b ^= rol32(a, 6), a += c;  \
        c -= b, c ^= rol32(b, 8), b += a;  \
        a -= c, a ^= rol32(c, 16), c += b; \
        b -= a, b ^= rol32(a, 19), a += c; \
        c -= b, c ^= rol32(b, 4), b += a;  \
    } while (0)

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    const u32* k = (const u32*)data;
    u32 a = 0xdeadbeef + (u32)size, b = a, c = a;
    for (u64 left = size / 4; left > 3; left -= 3, k += 3) {
        a += k[0], b += k[1], c += k[2];
        MIX(a, b, c);
    }
    c ^= b, c -= rol32(b, 14);
    a ^= c, a -= rol32(c, 11);
    b ^= a, b -= rol32(a, 25);
    return (u64)b << 32 | (c ^ a);
}
