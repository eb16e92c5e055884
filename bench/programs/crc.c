// SPDX-License-Identifier: MIT
// CRC-32 bit by bit over 256 bytes; listed with the byte loops.
#include "program.h"

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    u32 crc = ~0u;
    for (u64 i = 0; i < size && i < 256; ++i) {
        crc ^= data[i];
        for (u32 bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xEDB88320 & -(crc & 1));
    }
    return ~crc;
}
