// SPDX-License-Identifier: MIT
// Callbacks within callbacks, whose context on the stack of the first caller counts.
#include "loop.h"

static long (*for_each_map_elem)(void*, void*, void*, u64) = (void*)164;
static long (*loop)(u32, void*, void*, u64) = (void*)181;
static void* (*ringbuf_reserve)(void*, u64, u64) = (void*)131;
static void (*ringbuf_submit)(void*, u64) = (void*)132;

struct {
    UINT(type, 27);
    UINT(max_entries, 4096);
} ring SEC(".maps");

struct matrix {
    struct words* words;
    u64 sum, cells;
    u32 row, column, rows, columns;
};

static long cell(u32 i, struct matrix* m) {
    u32 at = m->row * 4 + i;
    if (i >= 4 || m->row PICK(>=, >) 8) return 1;
    m->sum += m->words->word[at];  // twin nested_matrix: map-value-bounds
    m->cells += 1;
    m->column = i;
    return 0;
}
static long row(u32 i, struct matrix* m) {
    m->row = i;
    m->columns += m->column;
    loop(4, cell, m, 0);
    m->rows += 1;
    return 0;
}
LOOP(nested_matrix) {
    struct matrix m = {.words = get_words(0)};
    if (!m.words) return XDP_DROP;
    loop(8, row, &m, 0);
    return (m.sum + m.cells + m.rows + m.columns) & 1 ? XDP_PASS : XDP_DROP;
}

struct cube {
    struct bytes* b;
    u32 x, y, z, count, last, sum;
    u64 checks;
};
static long cube_z(u32 i, struct cube* c) {
    c->z = i;
    if (c->count >= 64) return 1;
    c->sum += c->b->data[c->count PICK(, +1)];  // twin nested_cube: map-value-bounds
    c->count += 1;
    c->checks += c->x ^ c->y ^ i;
    return 0;
}
static long cube_y(u32 i, struct cube* c) {
    c->y = i;
    c->last = c->z;
    loop(4, cube_z, c, 0);
    c->checks += 1;
    return c->count >= 64;
}
static long cube_x(u32 i, struct cube* c) {
    c->x = i;
    loop(4, cube_y, c, 0);
    c->checks *= 3;
    return 0;
}
LOOP(nested_cube) {
    struct cube c = {.b = get_bytes(0)};
    if (!c.b) return XDP_DROP;
    loop(4, cube_x, &c, 0);
    return (c.sum + c.last + c.checks) & 1 ? XDP_PASS : XDP_DROP;
}

struct find {
    u64 wanted, found, seen;
    u32 rounds, hits;
};
static long compare(void* map, u32* key, struct words* w, struct find* f) {
    f->seen += 1;
    if (w->word[f->rounds & 31] == f->wanted) {
        f->found = *key;
        f->hits += 1;
        return 1;
    }
    return 0;
}
static long search(u32 i, struct find* f) {
    f->wanted = i * 3;
    f->rounds = i;
    for_each_map_elem(&words_map, compare, f, 0);
    return f->hits > 3;
}
LOOP(nested_each) {
    struct find f = {};
    loop(16, search, &f, 0);
    struct words* w = get_words(1);
    if (!w) return XDP_DROP;
    w->word[f.hits PICK(& 31, )] = f.seen;  // twin: map-value-bounds pointer-arithmetic
    return f.found & 1 ? XDP_PASS : XDP_DROP;
}

static long each_in_each(void* map, u32* key, struct bytes* b, struct find* f) {
    u32 at = f->rounds;
    if (at >= PICK(64, 65)) return 1;
    b->data[at] = f->hits;  // twin nested_each_each: map-value-bounds
    f->rounds = at + 1;
    return 0;
}
static long outer_each(void* map, u32* key, struct words* w, struct find* f) {
    f->hits += w->count;
    for_each_map_elem(&bytes_map, each_in_each, f, 0);
    f->seen++;
    return 0;
}
LOOP(nested_each_each) {
    struct find f = {};
    for_each_map_elem(&words_map, outer_each, &f, 0);
    return f.seen & 1 ? XDP_PASS : XDP_DROP;
}

// The caller's own loop around, and a loop of its own in the inner callback.
struct hash {
    struct bytes* b;
    u32 state, rounds, mixes;
};
static long mix_bytes(u32 i, struct hash* h) {
    u32 s = h->state;
    for (u32 k = 0; k PICK(<, <=) 64; ++k) {
        s = s * 31 + h->b->data[k];  // twin nested_hash: map-value-bounds
        KEEP(s);
    }
    h->state = s;
    h->mixes++;
    return s == 0;
}
static long mix_rounds(u32 i, struct hash* h) {
    h->rounds++;
    loop(h->mixes & 7, mix_bytes, h, 0);
    return 0;
}
LOOP(nested_hash) {
    struct hash h = {.b = get_bytes(0)};
    if (!h.b) return XDP_DROP;
    for (u32 i = 0; i < 100; ++i) {
        h.state ^= i;
        loop(10, mix_rounds, &h, 0);
    }
    return h.state & 1 ? XDP_PASS : XDP_DROP;
}

// A record that is reserved and given away within one run of the inner callback.
static long send(u32 i, struct find* f) {
    u64* record = ringbuf_reserve(&ring, 16, 0);
    if (!record) return 1;
    record[0] = f->wanted;
    record[1] = f->seen++;
    PICK(, if (i == 7) return 1;)  // twin nested_records: reference-leak
    ringbuf_submit(record, 0);
    return 0;
}  // twin nested_records: reference-leak
static long send_all(u32 i, struct find* f) {
    f->wanted = i;
    loop(4, send, f, 0);
    f->rounds++;
    return 0;
}  // twin nested_records: reference-leak
LOOP(nested_records) {
    struct find f = {};
    loop(4, send_all, &f, 0);
    return f.rounds & 1 ? XDP_PASS : XDP_DROP;
}
