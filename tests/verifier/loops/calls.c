// SPDX-License-Identifier: MIT
// Loops with calls in them, and loops that helpers make: callbacks, timers, iterators, may_goto.
#include "loop.h"

static long (*for_each_map_elem)(void*, void*, void*, u64) = (void*)164;
static long (*loop)(u32, void*, void*, u64) = (void*)181;
static long (*timer_init)(void*, void*, u64) = (void*)169;
static long (*timer_set_callback)(void*, void*) = (void*)170;
static long (*timer_start)(void*, u64, u64) = (void*)171;
static void* (*ringbuf_reserve)(void*, u64, u64) = (void*)131;
static void (*ringbuf_submit)(void*, u64) = (void*)132;
static void (*ringbuf_discard)(void*, u64) = (void*)133;
static void (*tail_call)(void*, void*, u32) = (void*)12;

struct {
    UINT(type, 27);
    UINT(max_entries, 4096);
} ring SEC(".maps");
struct timer_value {
    u64 rounds;
    struct bpf_timer {
        u64 opaque[2];
    } timer;
    u8 data[16];
};
struct {
    UINT(type, 2);
    UINT(max_entries, 1);
    TYPE(key, u32);
    TYPE(value, struct timer_value);
} timers SEC(".maps");

NOINLINE u32 mix(u32 x, u32 y) {
    x ^= y << 5;
    KEEP(x);
    return x;
}

LOOP(static_call) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 hash = 1, n = b->count;
    if (n > PICK(64, 65)) return XDP_DROP;
    for (u32 i = 0; i < n; ++i) hash = mix(hash, b->data[i]);  // twin: map-value-bounds
    return hash & 1 ? XDP_PASS : XDP_DROP;
}

NOINLINE u32 sum_of(u8* p, u32 n) {
    u32 sum = 0;
    for (u32 i = 0; i < n; ++i) {
        sum += p[i];  // twin loop_in_call: map-value-bounds; twin call_chain: map-value-bounds
        KEEP(sum);
    }
    return sum;
}

LOOP(loop_in_call) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 sum = 0;
    for (u32 i = 0; i < 64; i += 8) sum += sum_of(b->data + i, PICK(8, 9));
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

GLOBAL int global_mix(u32 x, u32 y) {
    KEEP(x);
    return x * 31 + y;
}

LOOP(global_call) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 hash = 7;
    for (u32 i = 0; i < 64; ++i) hash = global_mix(hash, b->data[i]);
    b->data[hash PICK(&, | ) 63] = 1;  // twin: map-value-bounds pointer-arithmetic
    return XDP_PASS;
}

NOINLINE int advance(u32* at, u32 limit) {
    if (*at >= limit) return 0;
    *at += 1;
    return 1;
}

LOOP(counter_by_pointer) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 at = 0, sum = 0;
    for (u32 i = 0; i < 100 && advance(&at, PICK(63, 64)); ++i) {
        if (at > PICK(63, 64)) break;
        sum += b->data[at];  // twin: map-value-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(helper_in_loop) {
    u64 sum = 0;
    for (u32 i = 0; i < 4; ++i) {
        u32 key = i + random32();
        struct words* w = lookup(&words_map, &key);
        PICK(if (!w) continue, );
        sum += w->word[i];  // twin: null-pointer
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(helper_in_long_loop) {
    u64 sum = 0;
    for (u32 i = 0; i < 1000; ++i) {
        u32 key = i & 3;
        struct words* w = lookup(&words_map, &key);
        if (!w) break;
        sum += w->word[PICK(i & 31, i)];  // twin: map-value-bounds
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(update_in_loop) {
    struct words value = {};
    for (u32 i = 0; i < 20; ++i) {
        u32 key = i & 3;
        value.count = i;
        if (update(&words_map, PICK(&key, (void*)(long)key), &value, 0)) break;  // twin: helper-argument bad-address
    }
    return XDP_PASS;
}

LOOP(record_in_loop) {
    for (u32 i = 0; i < 16; ++i) {
        u64* r = ringbuf_reserve(&ring, 16, 0);
        if (!r) break;
        r[0] = i;
        r[1] = now_ns();
        if (r[1] & 1) {
            PICK(ringbuf_discard(r, 0), );
            break;
        }
        ringbuf_submit(r, 0);
    }
    return XDP_PASS;  // twin: reference-leak
}

struct loop_context {
    struct bytes* value;
    u32 sum;
    u32 limit;
};

static long add_byte(u32 i, struct loop_context* c) {
    if (i >= PICK(64, 65)) return 1;
    c->sum += c->value->data[i];  // twin bpf_loop_context: map-value-bounds
    return c->sum > 1000;
}

LOOP(bpf_loop_context) {
    struct loop_context c = {.value = get_bytes(0)};
    if (!c.value) return XDP_DROP;
    loop(100, add_byte, &c, 0);
    return c.sum & 1 ? XDP_PASS : XDP_DROP;
}

struct cursor {
    u32 at;
    u32 sum;
};
static long step_cursor(u32 i, struct cursor* c) {
    struct bytes* b = get_bytes(i & 3);
    if (!b) return 1;
    u32 at = c->at;
    PICK(if (at >= 64) return 1, );
    c->sum += b->data[at];  // twin bpf_loop_cursor: map-value-bounds
    c->at = at + 1;
    return 0;
}

LOOP(bpf_loop_cursor) {
    struct cursor c = {};
    u32 n = ctx->ingress_ifindex;
    loop(n, step_cursor, &c, 0);
    return c.sum & 1 ? XDP_PASS : XDP_DROP;
}

static long nothing(u32 i, u64* n) {
    *n += 1;
    return PICK(0, 2);  // twin bpf_loop_result: bad-callback
}

LOOP(bpf_loop_result) {
    u64 n = 0;
    loop(1000, nothing, &n, 0);
    return n & 1 ? XDP_PASS : XDP_DROP;
}

struct packet_walk {
    struct xdp_md* ctx;
    u32 off;
    u32 sum;
};
static long walk_packet(u32 i, struct packet_walk* c) {
    u8 *data = DATA(c->ctx), *end = END(c->ctx);
    u32 off = c->off;
    if (off > 1400) return 1;
    u8* p = data + off;
    if (p + PICK(2, 1) > end) return 1;
    c->sum += p[0];
    c->off = off + 1 + (p[1] & 15);  // twin bpf_loop_packet: packet-bounds
    return 0;
}

LOOP(bpf_loop_packet) {
    struct packet_walk c = {.ctx = ctx};
    loop(64, walk_packet, &c, 0);
    return c.sum & 1 ? XDP_PASS : XDP_DROP;
}

static long inner_loop(u32 i, u32* sum) {
    *sum += i;
    return 0;
}
static long outer_loop(u32 i, u32* sum) {
    loop(8, inner_loop, sum, 0);
    struct bytes* b = get_bytes(0);
    if (b) b->data[*sum PICK(& 63, & 127)] = 1;  // twin bpf_loop_nested: map-value-bounds
    return 0;
}

LOOP(bpf_loop_nested) {
    u32 sum = 0;
    loop(8, outer_loop, &sum, 0);
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

static long add_value(void* map, u32* key, struct words* w, u64* sum) {
    *sum += w->word[*key PICK(& 31, )];  // twin each_element: map-value-bounds pointer-arithmetic
    return 0;
}

LOOP(each_element) {
    u64 sum = 0;
    for_each_map_elem(&words_map, add_value, &sum, 0);
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

static long sum_value(void* map, u32* key, struct words* w, u64* sum) {
    for (u32 i = 0; i PICK(<, <=) 32; ++i) *sum += w->word[i];  // twin each_element_loop: map-value-bounds
    return *sum > 100000;
}

LOOP(each_element_loop) {
    u64 sum = 0;
    for_each_map_elem(&words_map, sum_value, &sum, 0);
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

static int fired(void* map, u32* key, struct timer_value* v) {
    for (u32 i = 0; i < PICK(16, 17); ++i) {
        v->data[i] = v->rounds;  // twin timer_callback: map-value-bounds
        MEMORY();
    }
    if (++v->rounds < 100) timer_start(&v->timer, 1000, 0);
    return 0;
}

// XDP may use timers; the callback starts its own again.
LOOP(timer_callback) {
    u32 key = 0;
    struct timer_value* v = lookup(&timers, &key);
    if (!v) return XDP_DROP;
    if (timer_init(&v->timer, &timers, 1)) return XDP_DROP;
    timer_set_callback(&v->timer, fired);
    timer_start(&v->timer, 1000, 0);
    return XDP_PASS;
}

NOINLINE u32 depth_two(u8* p, u32 n) {
    u32 sum = 0;
    for (u32 i = 0; i < n; ++i) sum += sum_of(p + i, 2);  // twin call_chain: map-value-bounds
    return sum;
}

LOOP(call_chain) {
    struct bytes* b = get_bytes(0);
    if (!b) return XDP_DROP;
    u32 n = b->count;
    if (n >= 64) return XDP_DROP;
    u32 sum = 0;
    for (u32 i = 0; i < 4; ++i) sum += depth_two(b->data, PICK(n, n + 1));
    return sum & 1 ? XDP_PASS : XDP_DROP;
}
