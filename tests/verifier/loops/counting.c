// SPDX-License-Identifier: MIT
// Loops that count: up, down, by other steps, nested, with every kind of test.
#include "loop.h"

LOOP(count_up) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 sum = 0;
    for (u32 i = 0; i PICK(<, <=) 32; ++i) {
        sum += w->word[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(count_up_variable) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 n = w->count, sum = 0;
    if (n > PICK(32, 33)) return XDP_DROP;
    for (u64 i = 0; i < n; ++i) {
        sum += w->word[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(count_down) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 sum = 0;
    for (s32 i = PICK(31, 32); i >= 0; --i) {
        sum ^= w->word[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(count_down_variable) {
    struct words* w = get_words(1);
    if (!w) return XDP_DROP;
    u64 sum = 0, n = w->count;
    if (n > 32) n = 32;
    while (n PICK(-- > 0, > 0)) {
        sum += w->word[n];  // twin: map-value-bounds infinite-loop
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(count_down_unsigned) {
    struct words* w = get_words(1);
    if (!w) return XDP_DROP;
    u64 sum = 0;
    u32 n = w->count;
    if (n > 31) return XDP_DROP;
    // The classic: an unsigned number is always at least 0.
    for (u32 i = n; i PICK(> 0, != ~0u - 1); --i) {
        sum += w->word[i];  // twin: map-value-bounds pointer-arithmetic
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(step_three) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    for (u32 i = 0; i + 3 <= PICK(64, 67); i += 3) {
        sum += b->data[i] + b->data[i + 1] + b->data[i + 2];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(step_four_not_equal) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count & PICK(0x3c, 0x3f), sum = 0;
    for (u32 i = 0; i != n; i += 4) {
        sum += b->data[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(step_variable) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 step = b->kind & 7, sum = 0;
    PICK(if (step == 0) return XDP_DROP, );
    for (u32 i = 0; i < 64; i += step) {  // twin: infinite-loop
        sum += b->data[i];                // twin: infinite-loop
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(doubling) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    for (u32 i = 1; i PICK(<, <=) 64; i *= 2) {
        sum += b->data[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(halving) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count, bits = 0;
    while (n) {
        ++bits;
        n >>= 1;
        KEEP(bits);
    }
    b->data[bits PICK(, +32)] = 1;  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(nested_two) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    for (u32 i = 0; i < 8; ++i) {
        for (u32 j = 0; j PICK(<, <=) 8; ++j) {
            sum = sum * 3 + b->data[i * 8 + j];  // twin: map-value-bounds
            KEEP(sum);
        }
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(nested_triangle) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count;
    if (n > PICK(64, 65)) n = 64 PICK(, +1);
    // Insertion into place: the inner bound is the outer counter.
    for (u32 i = 1; i < n; ++i) {
        for (u32 j = i; j > 0; --j) {
            u8 a = b->data[j - 1], c = b->data[j];  // twin: map-value-bounds
            if (a <= c) break;
            b->data[j - 1] = c;
            b->data[j] = a;
        }
    }
    return XDP_PASS;
}

LOOP(nested_three) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    for (u32 i = 0; i < 4; ++i) {
        for (u32 j = 0; j < 4; ++j) {
            for (u32 k = 0; k < 4; ++k) {
                sum += b->data[i * PICK(16, 17) + j * 4 + k];  // twin: map-value-bounds
                KEEP(sum);
            }
        }
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(nested_variable) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 rows = b->count, columns = b->kind, sum = 0;
    if (rows > 8 || PICK(columns, rows) > 8) return XDP_DROP;
    for (u32 i = 0; i < rows; ++i) {
        for (u32 j = 0; j < columns; ++j) {
            sum += b->data[i * 8 + j];  // twin: map-value-bounds
            KEEP(sum);
        }
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(long_count) {
    u64 sum = now_ns();
    for (u32 i = 0; i < PICK(100000, 100000000); ++i) {  // twin: loop-too-long
        sum = sum * 5 + i;                               // twin: loop-too-long
        KEEP(sum);                                       // twin: loop-too-long
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(do_while) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 i = 0, n = b->count;
    if (n > 64) return XDP_DROP;
    PICK(if (n == 0) return XDP_DROP, );
    u32 end = n;
    do {
        b->data[i] = 0;  // twin: map-value-bounds infinite-loop
        ++i;
        KEEP(i);
    } while (i != end);
    return XDP_PASS;
}

LOOP(rotated) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 i = 0;
    while (1) {
        b->data[i] = i;  // twin: map-value-bounds
        if (PICK(++i, i++) >= 64) break;
        KEEP(b);
    }
    return XDP_PASS;
}

LOOP(break_continue) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 i = 0, odd = 0;
    while (i < 64) {
        u8 c = b->data[i];  // twin: infinite-loop
        if (c == 0) break;
        if (c & 1) {
            PICK(++i, );
            ++odd;  // twin: infinite-loop
            KEEP(odd);
            continue;
        }
        ++i;  // twin: infinite-loop
        KEEP(i);
    }  // twin: infinite-loop
    return odd & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(goto_loop) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 i = 0, seen = 0;
again:
    if (i >= 64) goto out;
    if (b->data[i] == 7) {
        seen++;
        i += 2;
        if (i >= PICK(64, 66)) goto out;
        b->data[i] = 0;  // twin: map-value-bounds
        goto again;
    }
    i += 1;
    goto again;
out:
    return seen & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(two_entries) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 i = 0, sum = 0;
    // A loop that is entered in its middle.
    if (b->kind & 1) goto middle;
    while (i < 64) {
        sum += b->data[i];  // twin: map-value-bounds
        KEEP(sum);
    middle:
        sum ^= b->data[PICK(i & 63, i + 1)];  // twin: map-value-bounds
        KEEP(sum);
        ++i;
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(up_and_down) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 low = 0, high = 63;
    while (low < high) {
        u8 c = b->data[low];
        b->data[low] = b->data[high];  // twin: map-value-bounds
        b->data[high] = c;  // twin: map-value-bounds
        ++low;
        PICK(--high, ++high);
        KEEP(c);
    }
    return XDP_PASS;
}

LOOP(sequence_of_loops) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 i = 0, n = b->count, sum = 0;
    if (n > 32) return XDP_DROP;
    for (; i < n; ++i) sum += b->data[i];
    KEEP(sum);
    for (; i < PICK(64, 65); ++i) b->data[i] = sum;  // twin: map-value-bounds
    return XDP_PASS;
}
