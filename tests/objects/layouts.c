// SPDX-License-Identifier: MIT
// Structures that C lays out in every way, for types that are written as C again (tests/bpftool).
#include "bpf.h"

struct packed {
    u8 first;
    u64 second;
    u16 third;
} __attribute__((packed));

struct aligned {
    u8 first;
    u32 second __attribute__((aligned(16)));
    u8 third;
} __attribute__((aligned(32)));

struct bits {
    u32 one : 1;
    u32 : 5;
    u32 two : 2;
    u64 far : 40;
    u64 : 0;
    u8 after;
    u32 last : 3;
    u8 behind;
};

struct holes {
    u8 first;
    u32 : 24;
    u32 : 32;
    u8 second;
    struct packed inside;
    u64 third;
};

struct list;
struct later;
typedef struct list list_t;
typedef list_t* (*step_t)(const list_t*, struct later*, int (*)(void));
struct list {
    list_t *next, **previous;
    step_t step;
    union {
        struct {
            u8 kind;
            struct later* of;
        };
        volatile u64 raw[2];
    };
    const char* const* names[3];
    int (*table[2])(struct list*, ...);
};

struct later {
    struct list inside;
    struct later* next;
    struct nowhere* opaque;
    enum { OFF, ON = 7 } state;
    enum tiny { TINY } __attribute__((packed)) small;
    char rest[];
};

struct packed packed;
struct aligned aligned;
struct bits bits;
struct holes holes;
struct later* later;

SEC("xdp") int layouts(void* context) {
    return packed.first + aligned.first + bits.two + holes.second + (later != 0);
}
