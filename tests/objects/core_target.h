// SPDX-License-Identifier: MIT
//
// The types that the programs of core.c meet, where they expect others. Compiled for BPF this is
// the target's type information; the tests include it too and lay out their memory by it (LP64,
// little endian: both compilers agree).

// GREEN and BLUE have other numbers, BLACK is not there.
enum color { BLUE = 90, GREEN = 50, RED = 1 };
enum big { BIG_LOW = 1, BIG_HIGH = 0x123456789aULL };

struct inner {
    short list[6];
    unsigned long long n;  // was 4 bytes
};

struct gadget {
    long long pad;
    unsigned long long narrow;  // was 4 bytes
    unsigned wide;              // was 8 bytes
    long long resized_signed;   // was 4 bytes
    union {                     // all in here stood in the structure itself
        struct {
            int deep;
            struct inner in;
        };
        char raw[64];
    };
    unsigned before : 3, mode : 12, flags : 9;  // mode had 7 bits, flags 5
    const void* pointer_now;                    // was a number
    int first;                                  // stood first
    const char* name;
    unsigned array[4];  // had 8 elements
    enum color color;
    unsigned char tail[];
};

typedef struct {
    int b, a;
} pair_t;

struct same {
    int a;
    const char* text;
};

// Two types of one essential name.
struct twin___one {
    int x;
};
struct twin___two {
    int pad, x;
};
// Two that agree where they are asked, but not on `y`, which the second alone has.
struct cousin___one {
    int x;
};
struct cousin___two {
    int x, y;
};
