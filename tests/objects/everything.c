// SPDX-License-Identifier: MIT
// Uses every feature of objects that carry type information. Numbers that object_test.cpp checks
// are marked.
#include "bpf.h"

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct bpf_spin_lock {
    u32 value;
};
struct bpf_timer {
    u64 opaque[2];
};

struct value {
    u64 count;
    struct bpf_spin_lock lock;  // at 8
    struct bpf_timer timer;     // at 16
};

struct {
    __uint(type, MAP_HASH);
    __uint(max_entries, 1000);
    __type(key, u32);
    __type(value, struct value);
    __uint(map_flags, 1);
    __uint(pinning, 1);
} flows SEC(".maps");

struct {
    __uint(type, MAP_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

struct inner {
    __uint(type, MAP_ARRAY);
    __uint(max_entries, 3);
    __uint(key_size, 4);
    __uint(value_size, 8);
};
struct inner inner_a SEC(".maps"), inner_b SEC(".maps");

struct {
    __uint(type, MAP_ARRAY_OF_MAPS);
    __uint(max_entries, 4);
    __type(key, u32);
    __array(values, struct inner);
} outer SEC(".maps") = {
    .values = {[1] = &inner_b, [3] = &inner_a},
};

int second(struct xdp_md* context);

struct {
    __uint(type, MAP_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __array(values, int(struct xdp_md*));
} jumps SEC(".maps") = {
    .values = {[1] = second},
};

const volatile u32 limit = 7;
u64 counters[4] = {1, 2, 3, 4};
static u64 zeros[8];
const char message[] = "hello";
static volatile u32 in_own_section SEC(".data.own") = 5;

extern u32 LINUX_KERNEL_VERSION __attribute__((section(".kconfig"))) __attribute__((weak));
extern u32 CONFIG_NOBODY_KNOWS __attribute__((section(".kconfig")));
extern int some_kernel_function(struct xdp_md* context) __attribute__((section(".ksyms")));

static NOINLINE int static_function(u32 x) {
    zeros[x & 7] += x;
    return (int)zeros[0];
}

NOINLINE int global_function(u32 x) {
    return static_function(x + 1) + (int)counters[x & 3];
}

static int callback(u32 index, void* context) {
    *(u64*)context += index;
    return 0;
}

SEC("xdp")
int first(struct xdp_md* context) {
    u32 key = context->ingress_ifindex;
    struct value* found = map_lookup(&flows, &key);
    if (found != 0) found->count++;
    if (key > limit) tail_call(context, &jumps, 1);
    return global_function(key);
}

SEC("xdp")
int second(struct xdp_md* context) {
    u64 sum = in_own_section;
    loop(10, callback, &sum, 0);
    return (int)sum + static_function(2);
}

SEC("xdp/other")
int plain(struct xdp_md* context) {
    return message[context->rx_queue_index & 3];
}

struct big {
    int a;
    struct {
        u32 low : 5, middle : 20, high : 7;
        u16 list[4];
    } in;
    char* pointer;
} __attribute__((preserve_access_index));

SEC("kprobe/core")
int core(struct big* big) {
    return big->in.list[2] + big->in.middle;
}

SEC("kprobe/version")
int version_dependent(void* context) {
    return LINUX_KERNEL_VERSION > 0x060000;
}

SEC("kprobe/unknown")
int needs_configuration(void* context) {
    return CONFIG_NOBODY_KNOWS;
}

SEC("tc")
int calls_kernel(struct xdp_md* context) {
    return some_kernel_function(context);
}

char license_text[] SEC("license") = "Dual MIT/GPL";
