// SPDX-License-Identifier: MIT
// Ranges that two variables name together: `off + len <= size`, checked once, before what follows
// joins, loops or calls.
#include "loop.h"

static long (*load_bytes)(void*, u32, void*, u32) = (void*)189;
static long (*ringbuf_output)(void*, void*, u64, u64) = (void*)130;

struct {
    UINT(type, 27);
    UINT(max_entries, 4096);
} ring SEC(".maps");

INLINE u32 number(struct bytes* b, u32 i) {
    u32 n = b->data[i];
    KEEP(n);
    return n;
}

LOOP(range_value_32) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, sum = 0;
    if (off > 64 || len > 64 || off + len > PICK(64, 65)) return XDP_DROP;
    for (u32 i = 0; i < len; ++i) {
        sum += b->data[off + i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_value_64) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 off = w->count, len = w->word[0], sum = 0;
    if (off > 32 || len > 32 - off) return XDP_DROP;
    for (u64 i = 0; i PICK(<, <=) len; ++i) {
        sum += w->word[off + i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

// The index is made in every round, of a number that the compiler knows nothing of.
LOOP(range_made_in_loop) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, sum = 0;
    if (off > 64 || len > 64 || off + len > 64) return XDP_DROP;
    for (u32 i = 0; i < len; ++i) {
        u32 at = off;
        KEEP(at);
        sum += b->data[PICK(off, at * 2) + i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_down) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, sum = 0;
    if (off > 64 || len > 64 || off + len > 64) return XDP_DROP;
    for (u32 i = len; i > 0; --i) {
        sum += b->data[off + i PICK(-1, )];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_both_move) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, sum = 0;
    if (off > 64 || len > 64 || off + len > 64) return XDP_DROP;
    while (len) {
        sum += b->data[off];  // twin: map-value-bounds
        KEEP(sum);
        off += PICK(1, 2);
        len -= 1;
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

// Paths join between the check and the use, and none of them touches what was checked.
LOOP(range_past_join) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, hash = random32();
    if (off > 64 || len > 64 || off + len > 64) return XDP_DROP;
    if (hash & 1) hash *= 31;
    KEEP(hash);
    if (hash & 2) hash ^= hash >> 7;
    KEEP(hash);
    if (hash & 4) hash += hash << 3;
    KEEP(hash);
    if (hash & 8) b->kind = hash;
    u32 at = off + (hash PICK(& 15, & 31));
    if ((hash & 15) >= len) return XDP_DROP;
    b->data[at] = hash;  // twin: map-value-bounds
    return XDP_PASS;
}

// One way changes an operand.
LOOP(range_redefined) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, hash = random32(), sum = 0;
    if (off > 64 || len > 64 || off + len > 64) return XDP_DROP;
    if (hash & 1) {
        off = PICK(off >> 1, off + 1);
        KEEP(sum);
    }
    KEEP(hash);
    if (hash & 2) hash *= 31;
    KEEP(hash);
    for (u32 i = 0; i < len; ++i) {
        sum += b->data[off + i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_end) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 start = b->count, end = b->kind, sum = 0;
    if (end > 64 || start > end) return XDP_DROP;
    u32 len = end - start;
    KEEP(sum);
    for (u32 i = 0; i < len; ++i) {
        sum += b->data[start + i PICK(, +1)];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_words) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, sum = 0;
    if (off > 16 || len > 16 || off + len > 16) return XDP_DROP;
    for (u32 i = 0; i < len; ++i) {
        u32 at = off + i PICK(, +1);
        KEEP(sum);
        sum += *(u32*)(b->data + at * 4);  // twin: map-value-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_stack) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u8 copy[64] = {};
    u32 off = b->count, len = b->kind, sum = 0;
    if (off > 64 || len > 64 || off + len > PICK(64, 80)) return XDP_DROP;
    KEEP(off);
    for (u32 i = 0; i < len; ++i) {
        copy[off + i] = b->data[i];  // twin: stack-bounds
        MEMORY();
    }
    for (u32 i = 0; i < 64; ++i) sum += copy[i];
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_helper_fills) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind;
    if (off > 64 || len > 64 || len == 0 || off + len > PICK(64, 128)) return XDP_DROP;
    if (load_bytes(ctx, 14, b->data + off, len)) return XDP_DROP;  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(range_helper_reads) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 hash = random32(), off = b->count, len = b->kind;
    if (off > 60 || len > 60 - off) return XDP_DROP;
    if (hash & 1) hash *= 31;
    KEEP(hash);
    if (hash & 2) hash *= 31;
    KEEP(hash);
    b->count = hash;
    ringbuf_output(&ring, b->data + off, PICK(len + 4, len + 5), 0);  // twin: map-value-bounds
    return XDP_PASS;
}

NOINLINE u32 total(u8* p, u32 n) {
    u32 sum = 0;
    for (u32 i = 0; i < n; ++i) {
        sum += p[i];  // twin range_in_call: map-value-bounds
        KEEP(sum);
    }
    return sum;
}

LOOP(range_in_call) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind;
    if (off > 64 || len > 64 || off + len > PICK(64, 72)) return XDP_DROP;
    return total(b->data + off, len) & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_packet) {
    u8 *data = DATA(ctx), *end = END(ctx);
    if (data + 16 > end) return XDP_DROP;
    u32 off = data[0], len = data[1], sum = 0;
    if (data + off + len > end) return XDP_DROP;
    for (u32 i = 0; i PICK(<, <=) len; ++i) {
        sum += data[off + i];  // twin: packet-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_packet_words) {
    u8 *data = DATA(ctx), *end = END(ctx);
    if (data + 16 > end) return XDP_DROP;
    u32 off = data[0], len = data[1];
    u64 sum = 0;
    u8* p = data + off;
    if (p + len * 4 > end) return XDP_DROP;
    for (u32 i = 0; i < len; ++i) {
        u32 word = *(u32*)(p + i * PICK(4, 5));  // twin: packet-bounds
        sum += word;
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(range_long) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, sum = 0;
    if (off > 64 || len > 64 || off + len > 64) return XDP_DROP;
    for (u32 round = 0; round < 1000; ++round) {
        for (u32 i = 0; i < len; ++i) {
            sum += b->data[off + i PICK(, +(round & 1))];  // twin: map-value-bounds
            KEEP(sum);
        }
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}
