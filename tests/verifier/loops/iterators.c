// SPDX-License-Identifier: MIT
// Open-coded iterators and may_goto.
#include "loop.h"

struct bpf_iter_num {
    u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num* it, int start, int end) __attribute__((section(".ksyms")));
extern int* bpf_iter_num_next(struct bpf_iter_num* it) __attribute__((section(".ksyms")));
extern void bpf_iter_num_destroy(struct bpf_iter_num* it) __attribute__((section(".ksyms")));

static inline void destroy(struct bpf_iter_num* it) { bpf_iter_num_destroy(it); }
#define FOR(i, from, to)                                                             \
    for (struct bpf_iter_num it __attribute__((cleanup(destroy))),                   \
         *start __attribute__((unused)) = (bpf_iter_num_new(&it, (from), (to)), &it); \
         ({                                                                          \
             int* next_ = bpf_iter_num_next(&it);                                    \
             next_ && ((i = *next_), 1);                                             \
         });)

#define COND_BREAK                                                        \
    ({                                                                    \
        __label__ out, next;                                              \
        asm volatile goto("1:.byte 0xe5; .byte 0; .long ((%l[out] - 1b - 8) / 8) & 0xffff; .short 0" \
                          ::: : out);                                     \
        goto next;                                                        \
    out:                                                                  \
        break;                                                            \
    next:;                                                                \
    })

LOOP(iterator_sum) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    int i;
    FOR(i, 0, PICK(64, 65)) {
        if (i < 0 || i > PICK(63, 64)) break;
        sum += b->data[i];  // twin: map-value-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(iterator_range) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    int i;
    FOR(i, 0, PICK(64, 65)) { sum += b->data[i]; }  // twin: map-value-bounds
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(iterator_variable) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0, n = b->count;
    int i;
    FOR(i, 0, n) {
        PICK(if (i >= 64) break, );
        if (i < 0) break;
        sum += b->data[i];  // twin: map-value-bounds pointer-arithmetic
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(iterator_index) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0, at = 0;
    int i;
    FOR(i, 0, 1000000) {
        if (at PICK(>=, >) 64) at = 0;
        sum += b->data[at++];  // twin: map-value-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(iterator_packet) {
    u8 *p = DATA(ctx), *end = END(ctx);
    u32 sum = 0;
    int i;
    FOR(i, 0, 100) {
        if (p + PICK(2, 1) > end) break;
        sum += p[0];
        p += p[1];  // twin: packet-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(iterator_nested) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    int i, j;
    FOR(i, 0, 8) {
        FOR(j, 0, 8) { sum += b->data[i * PICK(8, 9) + j]; }  // twin: map-value-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(iterator_destroyed) {
    struct bpf_iter_num it;
    u32 sum = 0;
    int* i;
    bpf_iter_num_new(&it, 0, 10);
    while ((i = bpf_iter_num_next(&it))) {
        sum += *i;
        if (sum & 8) break;
    }
    PICK(bpf_iter_num_destroy(&it), );
    return sum & 1 ? XDP_PASS : XDP_DROP;  // twin: reference-leak
}

LOOP(may_goto_scan) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 at = 0, sum = 0;
    while (1) {
        COND_BREAK;
        sum += b->data[at];  // twin: map-value-bounds
        at = PICK((at + sum) & 63, at + 1);
        if (sum == 77) break;
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(may_goto_chain) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 at = b->kind & 63;
    while (at) {                        // twin: infinite-loop
        PICK(COND_BREAK, );
        at = *(volatile u8*)(b->data + at) & 63;  // twin: infinite-loop
    }
    return XDP_PASS;
}

LOOP(may_goto_packet) {
    u8 *p = DATA(ctx), *end = END(ctx);
    u32 sum = 0;
    while (p + PICK(2, 1) <= end) {
        COND_BREAK;
        sum += p[0];
        p += p[1];  // twin: packet-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(may_goto_count) {
    struct words* w = get_words(0);
    if (!w) return XDP_DROP;
    u64 sum = 0;
    for (u32 i = 0; i < PICK(32, 33); ++i) {
        COND_BREAK;
        sum += w->word[i];  // twin: map-value-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(may_goto_nested) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    for (u32 i = 0; i < 8; ++i) {
        COND_BREAK;
        for (u32 j = 0; j < 8; ++j) {
            COND_BREAK;
            sum += b->data[PICK(i * 8 + j, i * 8 + j + 1)];  // twin: map-value-bounds
        }
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}
