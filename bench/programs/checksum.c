// SPDX-License-Identifier: MIT
// The Internet checksum (RFC 1071), and Adler-32 with its remainders.
#include "program.h"

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    u64 sum = 0;
    const u16* words = (const u16*)data;
    for (u64 i = 0; i < size / 2; ++i) sum += words[i];
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);

    u32 a = 1, b = 0;
    for (u64 i = 0; i < size; ++i) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return sum << 32 | (u32)(b << 16 | a);
}
