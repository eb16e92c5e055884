// SPDX-License-Identifier: MIT
// An interpreter of sixteen operations over the input's bytes.
#include "program.h"

ENTRY u64 PROGRAM(const u8* data, u64 size) {
    u64 a = 1, b = 2, c = 3;
    for (u64 pc = 0; pc + 1 < size; ++pc) {
        const u8 code = data[pc];
        switch (code & 15) {
            case 0:
                a += b;
                break;
            case 1:
                b -= c;
                break;
            case 2:
                c ^= a;
                break;
            case 3:
                a <<= 1;
                break;
            case 4:
                b = b >> 3 | b << 61;
                break;
            case 5:
                c *= 3;
                break;
            case 6:
                a |= c & 0xFF;
                break;
            case 7:
                b = code;
                break;
            case 8:
                c = a + pc;
                break;
            case 9:
                if (a > b) ++pc;
                break;
            case 10:
                a ^= data[pc + 1];
                break;
            case 11:
                b += a & c;
                break;
            case 12:
                c -= code >> 4;
                break;
            case 13:
                a = ~a;
                break;
            case 14:
                if (c & 1) b += 7;
                break;
            default:
                c = b;
                break;
        }
    }
    return a ^ b * 31 ^ c * 961;
}
