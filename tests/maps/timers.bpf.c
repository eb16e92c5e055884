// SPDX-License-Identifier: MIT
// Timers in values of every type of map that may have them, driven by the test's packets.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "timers.h"

#define MAP(kind, label)             \
    struct {                         \
        __uint(type, kind);          \
        __uint(max_entries, 16);     \
        __type(key, __u32);          \
        __type(value, struct timed); \
    } label SEC(".maps")

MAP(BPF_MAP_TYPE_HASH, table);
MAP(BPF_MAP_TYPE_ARRAY, row);
MAP(BPF_MAP_TYPE_LRU_HASH, recent);

// A store that others may look at meanwhile.
#define STORE(place, value) ((void)__sync_lock_test_and_set(&(place), (value)))

// What the functions saw, for the application.
long last_cancel = 1;
__u64 last_key = ~0ull;
__u64 fired_at = 0;
__u64 running = 0;
__u64 overlapped = 0;
// What the helpers answered, in the order of enum action.
long answers[5];

static int count(void* map, __u32* key, struct timed* value) {
    STORE(last_key, *key);
    STORE(fired_at, bpf_ktime_get_ns());
    __sync_fetch_and_add(&value->fired, 1);  // behind what who waits for it reads next
    if (value->period) bpf_timer_start(&value->timer, value->period, 0);
    return 0;
}

static int cancel_itself(void* map, __u32* key, struct timed* value) {
    STORE(last_cancel, bpf_timer_cancel(&value->timer));
    __sync_fetch_and_add(&value->fired, 1);
    return 0;
}

static int delete_itself(void* map, __u32* key, struct timed* value) {
    __u32 copy = *key;
    STORE(value->fired, 100);
    bpf_map_delete_elem(map, &copy);
    STORE(value->fired, 101);  // still memory of ours
    return 0;
}

static int nothing(__u32 i, void* context) {
    return 0;
}

static int work_long(void* map, __u32* key, struct timed* value) {
    if (__sync_fetch_and_add(&running, 1) != 0) STORE(overlapped, 1);
    bpf_loop(1 << 20, nothing, 0, 0);
    __sync_fetch_and_add(&value->fired, 1);
    __sync_fetch_and_add(&running, -1);
    return 0;
}

#define ACT(map)                                                                                 \
    static __always_inline void act_##map(const struct request* r) {                             \
        __u32 key = r->key;                                                                      \
        struct timed* value = bpf_map_lookup_elem(&map, &key);                                   \
        if (!value) return;                                                                      \
        if (r->actions & MAKE) STORE(answers[0], bpf_timer_init(&value->timer, &map, r->clock)); \
        if (r->actions & SET_FUNCTION) {                                                         \
            if (r->function == 0)                                                                \
                STORE(answers[1], bpf_timer_set_callback(&value->timer, count));                 \
            else if (r->function == 1)                                                           \
                STORE(answers[1], bpf_timer_set_callback(&value->timer, cancel_itself));         \
            else if (r->function == 2)                                                           \
                STORE(answers[1], bpf_timer_set_callback(&value->timer, delete_itself));         \
            else                                                                                 \
                STORE(answers[1], bpf_timer_set_callback(&value->timer, work_long));             \
        }                                                                                        \
        if (r->actions & START)                                                                  \
            STORE(answers[2], bpf_timer_start(&value->timer, r->ns, r->flags));                  \
        if (r->actions & CANCEL) STORE(answers[3], bpf_timer_cancel(&value->timer));             \
        if (r->actions & DELETE) {                                                               \
            STORE(answers[4], bpf_map_delete_elem(&map, &key));                                  \
            STORE(answers[0], bpf_timer_init(&value->timer, &map, r->clock));                    \
        }                                                                                        \
    }
ACT(table)
ACT(row)
ACT(recent)

// A timer that one program made in a map that it names, and another starts in whatever map it
// finds: its function's map is that one.
struct row_like {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, struct timed);
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(values, struct row_like);
} rows SEC(".maps");

static int mark_next(void* map, __u32* key, struct timed* value) {
    const __u32 next = *key + 1, two = 2;
    struct timed* other = bpf_map_lookup_elem(map, &next);
    if (other) STORE(other->fired, 7);
    other = bpf_map_lookup_elem(map, &two);  // a key that compilers may know
    if (other) STORE(other->fired, 8);
    return 0;
}

SEC("xdp")
int start_found(struct xdp_md* ctx) {
    const __u32 zero = 0, key = 5;
    void* found = bpf_map_lookup_elem(&rows, &zero);
    if (!found) return XDP_ABORTED;
    struct timed* value = bpf_map_lookup_elem(found, &key);
    if (!value) return XDP_ABORTED;
    if (bpf_timer_set_callback(&value->timer, mark_next)) return XDP_DROP;
    return bpf_timer_start(&value->timer, 0, 0) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int act(struct xdp_md* ctx) {
    const struct request* r = (void*)(long)ctx->data;
    if ((void*)(r + 1) > (void*)(long)ctx->data_end) return XDP_ABORTED;
    if (r->map == 0) act_table(r);
    if (r->map == 1) act_row(r);
    if (r->map == 2) act_recent(r);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
