// SPDX-License-Identifier: MIT
//
// A question about types in each program. The types here are what the author knew; core_target.h
// has those that the programs run with.
#include "bpf.h"

#define RELOCATED __attribute__((preserve_access_index))
#define PROGRAM(name) SEC("raw_tp/" #name) u64 name(struct gadget* g)
#define FIELD(access, question) __builtin_preserve_field_info(access, question)
enum { BYTE_OFFSET, BYTE_SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };
#define TYPE(type, question) __builtin_preserve_type_info(*(type*)0, question)
enum { TYPE_EXISTS, TYPE_SIZE, TYPE_MATCHES };
#define ENUMERATOR(type, value, question) __builtin_preserve_enum_value(*(type*)value, question)
enum { ENUMERATOR_EXISTS, ENUMERATOR_VALUE };

enum color { RED = 1, GREEN = 5, BLUE = 9, BLACK = 7 };
enum big { BIG_LOW = 1, BIG_HIGH = 2000000000000ULL };

struct inner {
    unsigned n;
    short list[4];
} RELOCATED;

struct gadget {
    int first;
    unsigned narrow;
    u64 wide;
    int resized_signed;
    int deep;
    struct inner in;
    unsigned mode : 7, flags : 5;
    int pointer_now;
    const char* name;
    unsigned array[8];
    enum color color;
    int gone;
    unsigned char tail[];
} RELOCATED;

struct gadget___old {
    unsigned narrow;
    int renamed_since;
} RELOCATED;

typedef struct {
    int a, b;
} RELOCATED pair_t;

struct same {
    int a;
    const char* text;
} RELOCATED;
struct nothing {
    int a;
} RELOCATED;
struct cousin {
    int x, y;
} RELOCATED;

// Members that moved, in structures and through those without a name.
PROGRAM(first) {
    return g->first;
}
PROGRAM(deep) {
    return g->deep;
}
PROGRAM(element) {
    return g->in.list[3];
}
PROGRAM(flavour) {
    return ((struct gadget___old*)g)->narrow;
}
PROGRAM(through_typedef) {
    return ((pair_t*)g)->b;
}
PROGRAM(in_tail) {
    return g->tail[3];
}
PROGRAM(second_of_two) {
    return FIELD(g[1].first, BYTE_OFFSET);
}

// Unsigned ones that grew or shrank.
PROGRAM(narrow) {
    return g->narrow;
}
PROGRAM(wide) {
    return g->wide;
}
PROGRAM(nested) {
    return g->in.n;
}
PROGRAM(store_narrow) {
    g->narrow = 77;
    return 0;
}

// A bit field, as BPF_CORE_READ_BITFIELD does it.
PROGRAM(bit_field) {
    const void* p = (const void*)g + FIELD(g->mode, BYTE_OFFSET);
    u64 value = 0;
    switch (FIELD(g->mode, BYTE_SIZE)) {
        case 1:
            value = *(const u8*)p;
            break;
        case 2:
            value = *(const u16*)p;
            break;
        case 4:
            value = *(const u32*)p;
            break;
        case 8:
            value = *(const u64*)p;
            break;
    }
    value <<= FIELD(g->mode, LSHIFT);
    if (FIELD(g->mode, SIGNED)) return (i64)value >> FIELD(g->mode, RSHIFT);
    return value >> FIELD(g->mode, RSHIFT);
}

PROGRAM(size_of_narrow) {
    return FIELD(g->narrow, BYTE_SIZE);
}
PROGRAM(size_of_array) {
    return FIELD(g->array, BYTE_SIZE);
}
PROGRAM(lshift_of_flags) {
    return FIELD(g->flags, LSHIFT);
}
PROGRAM(rshift_of_flags) {
    return FIELD(g->flags, RSHIFT);
}
PROGRAM(sign_of_first) {
    return FIELD(g->first, SIGNED);
}
PROGRAM(sign_of_wide) {
    return FIELD(g->wide, SIGNED);
}

// What exists.
PROGRAM(first_exists) {
    return FIELD(g->first, EXISTS);
}
PROGRAM(gone_exists) {
    return FIELD(g->gone, EXISTS);
}
PROGRAM(pointer_now_exists) {
    return FIELD(g->pointer_now, EXISTS);
}
PROGRAM(element_3_exists) {
    return FIELD(g->array[3], EXISTS);
}
PROGRAM(element_5_exists) {
    return FIELD(g->array[5], EXISTS);
}
PROGRAM(type_exists) {
    return TYPE(struct gadget, TYPE_EXISTS);
}
PROGRAM(typedef_exists) {
    return TYPE(pair_t, TYPE_EXISTS);
}
PROGRAM(nothing_exists) {
    return TYPE(struct nothing, TYPE_EXISTS);
}
PROGRAM(size_of_type) {
    return TYPE(struct gadget, TYPE_SIZE);
}
PROGRAM(size_of_nothing) {
    return TYPE(struct nothing, TYPE_SIZE);
}
#if __clang_major__ >= 15
PROGRAM(same_matches) {
    return TYPE(struct same, TYPE_MATCHES);
}
PROGRAM(inner_matches) {
    return TYPE(struct inner, TYPE_MATCHES);
}
#endif
PROGRAM(green) {
    return ENUMERATOR(enum color, GREEN, ENUMERATOR_VALUE);
}
PROGRAM(green_exists) {
    return ENUMERATOR(enum color, GREEN, ENUMERATOR_EXISTS);
}
PROGRAM(black_exists) {
    return ENUMERATOR(enum color, BLACK, ENUMERATOR_EXISTS);
}
#if __clang_major__ >= 16  // enumerators of 64 bits in type information
PROGRAM(high) {
    return ENUMERATOR(enum big, BIG_HIGH, ENUMERATOR_VALUE);
}
#endif
PROGRAM(local_id) {
    return __builtin_btf_type_id(*(struct gadget*)0, 0);
}
PROGRAM(target_id) {
    return __builtin_btf_type_id(*(struct gadget*)0, 1);
}

// What is not there may be asked for where nothing leads to it.
PROGRAM(guarded) {
    if (FIELD(g->gone, EXISTS)) return g->gone;
    return 7;
}
PROGRAM(guarded_black) {
    if (ENUMERATOR(enum color, BLACK, ENUMERATOR_EXISTS))
        return ENUMERATOR(enum color, BLACK, ENUMERATOR_VALUE);
    return 8;
}
PROGRAM(unguarded) {
    return g->gone;
}
PROGRAM(unguarded_black) {
    return ENUMERATOR(enum color, BLACK, ENUMERATOR_VALUE);
}
PROGRAM(other_kind) {
    return g->pointer_now;
}
PROGRAM(other_size) {
    return g->resized_signed;
}
PROGRAM(beyond_array) {
    return g->array[5];
}
PROGRAM(no_such_type) {
    return ((struct nothing*)g)->a;
}

// The first question leaves one candidate for the second.
PROGRAM(narrowed) {
    struct cousin* c = (struct cousin*)g;
    return c->y + TYPE(struct cousin, TYPE_SIZE);
}

char license_text[] SEC("license") = "GPL";
