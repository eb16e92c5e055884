// SPDX-License-Identifier: MIT
// Maps whose keys and values have every kind of type, for what is shown of them (tests/bpftool,
// tests/btf).
#include "bpf.h"

typedef signed char i8;
typedef short i16;
typedef _Bool bool;
typedef const volatile u16 port;

enum colour { RED, GREEN = 5, BLUE = -1 };
enum size { SMALL = 1, LARGE = 0x100000000ull };

struct point {
    i32 x, y;
};

struct value {
    u8 byte;
    i8 small;
    char letter;
    bool flag;
    i16 low;
    port at;
    u64 large;
    i64 negative;
    enum colour colour;
    enum size size;
    struct point point;
    struct {
        u32 in_between;
    };
    union {
        u32 whole;
        u8 part[4];
    };
    char name[8];
    char letters[2][2];
    i32 numbers[3];
    u16 table[2][2];
    struct point points[2];
    struct point* pointer;
    void* nothing;
    int (*function)(int);
    u32 three : 3, five : 5;
    i32 seven : 7;
    u64 forty : 40;
    enum colour shade : 8;
    bool once : 1;
    i32 none[0];
};

struct wide {
    unsigned __int128 large;
    __int128 negative;
    u64 low : 60, high : 60;
};

struct numbers {
    float single;
    double twice;
};

#define MAP(name, kind, key_type, value_type) \
    struct {                                  \
        __uint(type, kind);                   \
        __uint(max_entries, 2);               \
        __type(key, key_type);                \
        __type(value, value_type);            \
    } name SEC(".maps")

enum { MAP_PERCPU_ARRAY = 6 };
MAP(va_value, MAP_ARRAY, u32, struct value);
MAP(va_wide, MAP_ARRAY, u32, struct wide);
MAP(va_floats, MAP_ARRAY, u32, struct numbers);
MAP(va_number, MAP_HASH, struct point, i64);
MAP(va_colour, MAP_HASH, enum colour, enum colour);
MAP(va_percpu, MAP_PERCPU_ARRAY, u32, struct point);
MAP(va_letters, MAP_HASH, char[4], char[6]);
MAP(va_port, MAP_HASH, port, bool);
MAP(va_pointer, MAP_HASH, u64, void*);

struct {
    __uint(type, MAP_HASH);
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __uint(value_size, 4);
} va_bytes SEC(".maps");

struct {
    __uint(type, 22);  // queue
    __uint(max_entries, 2);
    __uint(key_size, 0);
    __type(value, struct point);
} va_queue SEC(".maps");

static volatile struct point variable = {1, -2};
volatile u64 counter;
volatile u32 counted[3];
static volatile const char text[] = "constant";

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

SEC("xdp")
int values(struct xdp_md* context) {
    return variable.x + counter + context->rx_queue_index + text[counted[0] & 7] > 100 ? 1 : 2;
}

char licence[] SEC("license") = "GPL";
