// SPDX-License-Identifier: MIT
// Loops over bytes: scanning, comparing, copying, searching, hashing, written by hand.
#include "loop.h"

LOOP(string_length) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = 0;
    while (n PICK(<, <=) 64 && b->data[n]) ++n;  // twin: map-value-bounds
    return n & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(string_length_no_limit) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = 0;
    while (PICK(n < 64 &&, ) b->data[n]) ++n;  // twin: map-value-bounds
    return n & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(string_copy) {
    struct bytes *from = get_bytes(0), *to = get_bytes(1);
    if (!from || !to) return XDP_DROP;
    u32 i;
    for (i = 0; i < 63; ++i) {
        to->data[i] = from->data[i];
        if (!from->data[i]) break;
    }
    to->data[PICK(i, i + 1)] = 0;  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(string_compare) {
    struct bytes *x = get_bytes(0), *y = get_bytes(random32());
    if (!x PICK(|| !y, )) return XDP_DROP;  // twin: null-pointer
    for (u32 i = 0; i < 64; ++i) {  // twin: null-pointer
        if (x->data[i] != y->data[i]) return XDP_DROP;  // twin: null-pointer
        if (!x->data[i]) break;
    }
    return XDP_PASS;
}

LOOP(string_find) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    int at = -1;
    for (int i = 0; i < 64; ++i) {
        if (b->data[i] == '/') {
            at = i;
            break;
        }
    }
    KEEP(at);
    if (at < 0 || at > 63) return XDP_DROP;
    b->data[at PICK(, +1)] = 0;  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(string_find_correlated) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    s64 at = -1;
    for (s64 i = 0; i < 64; ++i) {
        u8 c = b->data[i];
        if (c == '/') at = i;
        if (c == 0) break;
    }
    if (at < 0) return XDP_DROP;
    b->data[at PICK(, +1)] = '-';  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(string_scan_nested) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 i = 0, words = 0;
    while (i < 64) {
        while (i < 64 && b->data[i] == ' ') ++i;
        if (i >= 64) break;
        ++words;
        while (PICK(i < 64 &&, ) b->data[i] != ' ') ++i;  // twin: map-value-bounds
        ++i;  // others may write the value: only this shows that every round moves on
    }
    return words & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(parse_number) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 value = 0;
    for (u32 i = 0; i < 10; ++i) {
        u32 c = b->data[i] - '0';
        if (c > 9) break;
        value = value * 10 + c;
    }
    if (value >= PICK(64, 65)) return XDP_DROP;
    b->data[value] = 1;  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(binary_search) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 wanted = w->count;
    u32 low = 0, high = PICK(32, 33);
    for (int i = 0; i < 6; ++i) {
        if (low >= high) break;
        u32 middle = (low + high) / 2;
        if (middle >= PICK(32, 33)) break;
        u64 v = w->word[middle];  // twin: map-value-bounds
        if (v == wanted) return XDP_PASS;
        if (v < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return XDP_DROP;
}

LOOP(binary_search_no_check) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 wanted = w->count;
    u32 low = 0, high = PICK(32, 34);
    for (int i = 0; i < 6 && low < high; ++i) {
        u32 middle = low + (high - low) / 2;
        u64 v = w->word[middle];  // twin: map-value-bounds
        if (v == wanted) return XDP_PASS;
        if (v < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return XDP_DROP;
}

LOOP(copy_bytes) {
    struct bytes *from = get_bytes(0), *to = get_bytes(1);
    if (!from || !to) return XDP_DROP;
    u32 n = from->count;
    if (n > PICK(64, 65)) return XDP_DROP;
    volatile u8 *d = to->data, *s = from->data;
    for (u32 i = 0; i < n; ++i) d[i] = s[i];  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(copy_words_then_bytes) {
    struct bytes *from = get_bytes(0), *to = get_bytes(1);
    if (!from || !to) return XDP_DROP;
    u32 n = from->count, i = 0;
    if (n > 64) return XDP_DROP;
    for (; i + 8 <= n; i += 8)
        *(volatile u64*)(to->data + i) = *(volatile u64*)(from->data + i);
    for (; i < PICK(n, n + 1); ++i)
        *(volatile u8*)(to->data + i) = *(volatile u8*)(from->data + i);  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(copy_pointers) {
    struct bytes *from = get_bytes(0), *to = get_bytes(1);
    if (!from || !to) return XDP_DROP;
    u32 n = from->count;
    PICK(if (n > 64) n = 64, if ((s32)n > 64) n = 64);
    volatile u8 *d = to->data, *s = from->data;
    while (n--) *d++ = *s++;  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(move_overlapping) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count;
    if (n > 60) return XDP_DROP;
    volatile u8* p = b->data;
    for (u32 i = n; i > 0; --i) p[i - 1 + PICK(4, 5)] = p[i - 1];  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(set_bytes) {
    u8 buffer[32];
    volatile u8* p = buffer;
    u32 n = ctx->rx_queue_index;
    if (n > 32) return XDP_DROP;
    for (u32 i = 0; i < 32; ++i) p[i] = 0;
    for (u32 i = 0; i < n; ++i) p[PICK(i, i + 1)] = 0xff;  // twin: stack-bounds
    return p[5] & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(set_key) {
    volatile u8 key[16];
    u8 *data = DATA(ctx), *end = END(ctx);
    if (data + 16 > end) return XDP_DROP;
    for (u32 i = 0; i < PICK(4, 3); ++i) key[i] = data[i];
    void* v = lookup(&bytes_map, (const void*)key);  // twin: stack-uninit
    return v ? XDP_PASS : XDP_DROP;
}

LOOP(compare_bytes) {
    struct bytes *x = get_bytes(0), *y = get_bytes(1);
    if (!x || !y) return XDP_DROP;
    u32 n = x->count, i = 0;
    if (PICK(n, i) > 64) return XDP_DROP;
    int difference = 0;
    while (i < n) {
        difference = x->data[i] - y->data[i];  // twin: map-value-bounds
        if (difference) break;
        ++i;
    }
    return difference ? XDP_DROP : XDP_PASS;
}

LOOP(hash_fnv) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count, hash = 2166136261u;
    if (n > 64) n = 64;
    for (u32 i = 0; i < n; ++i) hash = (hash ^ b->data[i]) * 16777619;
    b->data[hash % PICK(64, 65)] = 1;  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(hash_jenkins) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count, x = 1, y = 2, z = 3, i = 0;
    if (n > 64) return XDP_DROP;
    while (n - i PICK(>=, > 1 &&) 12) {
        x += *(u32*)(b->data + i);
        y += *(u32*)(b->data + i + 4);
        z += *(u32*)(b->data + i + 8);  // twin: map-value-bounds
        x ^= z << 4 | z >> 28;
        y ^= x << 6 | x >> 26;
        z ^= y << 8 | y >> 24;
        i += 12;
    }  // twin: map-value-bounds
    return (x ^ y ^ z) & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(bloom_filter) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u32 h = ctx->ingress_ifindex * 0x9e3779b1u;
    for (u32 i = 0; i < 4; ++i) {
        u32 bit = (h >> (i * 7)) & PICK(2047, 4095);
        w->word[bit >> 6] |= 1ull << (bit & 63);  // twin: map-value-bounds
        KEEP(h);
    }
    return XDP_PASS;
}

LOOP(count_bits) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u64 v = now_ns();
    u32 n = 0;
    while (v) {
        v PICK(&= v - 1, |= v - 1);  // twin: infinite-loop
        ++n;                         // twin: infinite-loop
        KEEP(v);                     // twin: infinite-loop
        if (PICK(n == 64, 0)) break;
    }  // twin: infinite-loop
    return n & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(greatest_common_divisor) {
    u32 a = random32(), c = random32();
    for (int i = 0; PICK(i < 50 &&, ) c; ++i) {  // twin: infinite-loop
        u32 r = a % c;                           // twin: infinite-loop
        a = c;
        c = r;
        KEEP(c);  // twin: infinite-loop
    }             // twin: infinite-loop
    return a & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(linked_indices) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 at = b->kind & 63;
    for (u32 i = 0; i < 16; ++i) {
        at = b->data[at];  // twin: map-value-bounds
        if (at == 0 PICK(|| at > 63, )) break;
    }
    return at ? XDP_PASS : XDP_DROP;
}

LOOP(histogram) {
    u8 *data = DATA(ctx), *end = END(ctx);
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    for (u32 i = 0; i < 256; ++i) {
        if (data + i + 1 > end) break;
        w->word[data[i] >> PICK(3, 2)]++;  // twin: map-value-bounds
    }
    return XDP_PASS;
}

LOOP(sort_bubble) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    for (u32 i = 0; i < 32; ++i) {
        for (u32 j = 0; j + PICK(1, 0) < 32; ++j) {
            u64 x = w->word[j], y = w->word[j + 1];  // twin: map-value-bounds
            if (x > y) {
                w->word[j] = y;
                w->word[j + 1] = x;
            }
        }
    }
    return XDP_PASS;
}
