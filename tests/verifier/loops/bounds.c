// SPDX-License-Identifier: MIT
// Loops whose bound is tested in another way: through 32 bits, signed, by pointers, again.
#include "loop.h"

LOOP(bound_32_bits) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 n = w->count, sum = 0;
    if ((u32)n > 32) return XDP_DROP;
    for (u64 i = 0; i < PICK((u32)n, n); ++i) {
        sum += w->word[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(bound_signed) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    s32 n = w->count;
    u64 sum = 0;
    if (n > 32) return XDP_DROP;
    for (PICK(s32, u32) i = 0; i < PICK(n, (u32)n); ++i) {
        sum += w->word[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(signed_index) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    s32 from = (s32)b->count, sum = 0;
    if (from > 60 PICK(|| from < 0, )) return XDP_DROP;
    for (s32 i = from; i < 64; ++i) {
        sum += b->data[i];  // twin: map-value-bounds loop-too-long pointer-arithmetic
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(signed_byte) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    for (u32 i = 0; i < 16; ++i) {
        PICK(u8, s8) at = *(volatile PICK(u8, s8)*)&b->data[i];
        if (at > 63) continue;
        sum += b->data[at];  // twin: map-value-bounds pointer-arithmetic
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(narrow_counter) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count, sum = 0;
    // With 8 bits the counter starts over before it gets there.
    if (n > PICK(64, 300)) return XDP_DROP;
    for (u8 i = 0; i < n; ++i) {
        sum += b->data[i & 63];  // twin: infinite-loop
        KEEP(sum);               // twin: infinite-loop
    }                            // twin: infinite-loop
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(pointer_up) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    u8 *p = b->data, *end = b->data + sizeof b->data;
    for (; p PICK(<, <=) end; ++p) {
        sum += *p;  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(pointer_down) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count, sum = 0;
    if (n > PICK(64, 65)) return XDP_DROP;
    u8* p = b->data + n;
    while (n--) {
        sum += *--p;  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(pointer_packet) {
    u8 *p = DATA(ctx), *end = END(ctx);
    u32 sum = 0;
    for (u32 i = 0; i < 1500 && p + 1 PICK(<=, <= 1 +) end; ++i, ++p) {
        sum += *p;  // twin: packet-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(pointer_packet_unbounded) {
    u8 *p = DATA(ctx), *end = END(ctx);
    u32 sum = 0;
    // No counter but the pointer itself.
    while (p + 4 <= end) {
        sum += p[PICK(3, 4)];  // twin: packet-bounds
        p += 4;
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(read_again) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    volatile u32* count = &b->count;
    u32 n = *count;
    if (n > 64) return XDP_DROP;
    for (u32 i = 0; i < PICK(n, *count); ++i) {
        sum += b->data[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(wrong_variable) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count, from = b->kind, sum = 0;
    if (n > 32) return XDP_DROP;
    if (PICK(from, n) > 32) return XDP_DROP;
    for (u32 i = 0; i < n; ++i) {
        sum += b->data[from + i];  // twin: map-value-bounds pointer-arithmetic
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(offset_and_length) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, len = b->kind, sum = 0;
    if (off > 64 || len > 64 PICK(|| off + len > 64, )) return XDP_DROP;
    for (u32 i = off; i < off + len; ++i) {
        sum += b->data[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(remaining_length) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 off = b->count, sum = 0;
    if (off > 64) return XDP_DROP;
    u32 left = PICK(64, 65) - off;
    while (left) {
        sum += b->data[off];  // twin: map-value-bounds
        KEEP(sum);
        ++off;
        --left;
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(minimum_of_two) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count, limit = 64, sum = 0;
    KEEP(limit);
    if (limit > 64) limit = 64;
    n = PICK(n < limit, n > limit) ? n : limit;
    for (u32 i = 0; i < n; ++i) {
        sum += b->data[i];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(counter_on_stack) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    volatile u32 i;
    for (i = 0; i < 64; PICK(++i, i = i)) {  // twin: infinite-loop
        u32 at = i;  // twin: infinite-loop
        if (at < 64) b->data[at] = 1;  // twin: infinite-loop
    }
    return XDP_PASS;
}

LOOP(counter_on_stack_8) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    volatile u8 i;
    for (i = 0; i < PICK(64, 65); i++) {
        u32 at = i;
        if (at >= PICK(64, 65)) break;
        b->data[at] = 1;  // twin: map-value-bounds
    }
    return XDP_PASS;
}

LOOP(counter_on_stack_down) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    volatile s64 i;
    u64 sum = 0;
    for (i = 31; i >= PICK(0, -2); i--) {
        s64 at = i;
        if (at < 32) sum += w->word[at];  // twin: map-value-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(stack_array_fill) {
    volatile u32 array[16];
    u32 n = ctx->ingress_ifindex, sum = 0;
    for (u32 i = 0; i < PICK(16, 15); ++i) array[i] = i * 3;
    if (n >= 16) return XDP_DROP;
    for (u32 i = 0; i <= n; ++i) sum += array[i];  // twin: stack-uninit
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(stack_array_index) {
    u32 array[16] = {};
    u32 n = ctx->rx_queue_index, i = 0;
    KEEP(n);
    volatile u32* p = array;
    while (n) {
        p[PICK(n & 15, n & 31)] += 1;  // twin: stack-bounds
        n >>= 2;
        if (++i == 12) break;
    }
    return array[3] & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(ring_index) {
    struct words* w = get_words(2);
    if (!w) return XDP_DROP;
    u32 at = w->count, n = ctx->ingress_ifindex;
    if (n > 1000) return XDP_DROP;
    for (u32 i = 0; i < n; ++i) {
        at = (at + 1) & PICK(31, 32);
        w->word[at] = i;  // twin: map-value-bounds
    }
    return XDP_PASS;
}

LOOP(ring_index_modulo) {
    struct words* w = get_words(2);
    if (!w) return XDP_DROP;
    u32 at = w->count, n = ctx->ingress_ifindex;
    if (n > 1000) return XDP_DROP;
    for (u32 i = 0; i < n; ++i) {
        at = (at + 7) % PICK(31, 33);
        w->word[at] = i;  // twin: map-value-bounds
    }
    return XDP_PASS;
}

LOOP(ring_index_compare) {
    struct words* w = get_words(2);
    if (!w) return XDP_DROP;
    u32 at = w->count, n = ctx->ingress_ifindex;
    if (n > 1000 || at >= 32) return XDP_DROP;
    for (u32 i = 0; i < n; ++i) {
        w->word[at] = i;  // twin: map-value-bounds
        if (++at PICK(==, >) 32) at = 0;
        KEEP(i);
    }
    return XDP_PASS;
}

LOOP(correlated_flag) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count, bad = 0, sum = 0;
    if (n > 64) bad = 1;
    KEEP(bad);
    for (u32 i = 0; i < 64; ++i) {
        if (PICK(n > 64, bad > 1)) break;
        if (i >= n) break;
        sum += b->data[i];
        KEEP(sum);
    }
    b->data[n > 64 ? 0 : n PICK(/ 2, )] = sum;  // twin: map-value-bounds
    return XDP_PASS;
}

LOOP(counter_in_map) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    volatile u64* count = &w->count;
    // Others may write the counter too: it bounds nothing.
    *count = 0;
    PICK(u64 rounds = 0, );
    while (*count < 32) {  // twin: infinite-loop
        PICK(if (++rounds > 64) break, );
        *count = *count + 1;  // twin: infinite-loop
    }
    return XDP_PASS;
}

LOOP(binary_search) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 low = w->count, high = now_ns(), wanted = now_ns(), found = 32;
    for (u32 i = 0; i < 16; ++i) {
        if (low >= high) break;
        u32 middle = (low + high) / 2;
        if (middle >= PICK(32, 33)) return XDP_DROP;
        if (w->word[middle] <= wanted) {  // twin: map-value-bounds
            found = middle;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (found >= 32) return XDP_DROP;
    return w->word[found] & 1 ? XDP_PASS : XDP_DROP;
}
