/* SPDX-License-Identifier: MIT */
/* What the loop programs share. Each LOOP is compiled twice: as it is, and with -DTWIN, where
 * PICK takes its second argument: one realistic mistake. The line that must then be blamed carries
 * a comment `twin: CODE`; more than one is given where compilers differ. A comment outside of the
 * program that it is about names it: `twin NAME: CODE`. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#ifdef TWIN
#define PICK(safe, unsafe) unsafe
#else
#define PICK(safe, unsafe) safe
#endif

#define SEC(name) __attribute__((section(name), used))
#define LOOP(name) \
    SEC("xdp")     \
    int name(struct xdp_md* ctx)
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define GLOBAL __attribute__((noinline))
#define KEEP(x) asm volatile("" : "+r"(x)) /* the compiler knows nothing of x from here on */
#define MEMORY() asm volatile("" ::: "memory")

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
#define DATA(ctx) ((u8*)(long)(ctx)->data)
#define END(ctx) ((u8*)(long)(ctx)->data_end)
enum { XDP_DROP = 1, XDP_PASS = 2 };

#define UINT(name, value) int(*name)[value]
#define TYPE(name, type) type* name

static void* (*lookup)(void*, const void*) = (void*)1;
static long (*update)(void*, const void*, const void*, u64) = (void*)2;
static u64 (*now_ns)(void) = (void*)5;
static u32 (*random32)(void) = (void*)7;

/* Arrays stand at the end, so that one byte too many is outside. */
struct bytes {
    u32 count;
    u32 kind;
    u8 data[64];
};
struct words {
    u64 count;
    u64 word[32];
};
struct {
    UINT(type, 2);
    UINT(max_entries, 4);
    TYPE(key, u32);
    TYPE(value, struct bytes);
} bytes_map SEC(".maps");
struct {
    UINT(type, 2);
    UINT(max_entries, 4);
    TYPE(key, u32);
    TYPE(value, struct words);
} words_map SEC(".maps");

INLINE struct bytes* get_bytes(u32 key) { return lookup(&bytes_map, &key); }
INLINE struct words* get_words(u32 key) { return lookup(&words_map, &key); }

char licence[] SEC("license") = "GPL";
