/* SPDX-License-Identifier: MIT */
/*
 * Runs machine code for AArch64 that comes on standard input: what aarch64_engine.cpp talks to,
 * under an emulator. Freestanding, so that any clang and lld build it without a system for that
 * CPU.
 *
 * Request:  struct request, code, relocations (three words each: offset, kind, value), memory.
 * Answers:  any number of helper calls ('H', helper, r1 to r5, invocation; the caller answers with
 *           r0), then 'R', r0, fault, changed registers, fuel, address of the memory, whether a
 *           caller's frame was accessed, memory.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

struct request {
    u64 code_bytes, entry, relocations, memory_bytes, fuel, may_goto, checked, memory_at;
};
struct range {
    u64 begin, size, writable;
};
struct frame {
    struct range memory;
    const struct frame* outer;
};
struct invocation;
typedef u64 helper(u64, u64, u64, u64, u64, struct invocation*);
struct bounds { /* code/bounds.hpp; the test compares its size */
    u64 begin, room[4];
    const struct frame* frames;
    helper* callee;
    u64 (*access)(const struct bounds*, u64 address, u64 access);
    helper* call;
    struct range memory;
    u64 unused[4];
};
struct invocation { /* code/engine.hpp; the same */
    u64 tail_pending, run_tail, fuel, fault;
    u32 frames, reserved;
    const u32* cancel;
    u64 may_goto;
    u64 call_interpreted, context, context_size, runtime, program, slot_and_tail_calls;
    struct bounds* bounds;
};

enum { kRead = 63, kWrite = 64, kExit = 93, kMunmap = 215, kMmap = 222, kMprotect = 226 };

static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
static void leave(int status) {
    call(kExit, status, 0, 0, 0, 0, 0);
    __builtin_trap();
}
static void read_all(void* to, u64 size) {
    for (u8* at = to; size > 0;) {
        const long n = call(kRead, 0, (long)at, (long)size, 0, 0, 0);
        if (n <= 0) leave(n < 0);
        at += n;
        size -= (u64)n;
    }
}
static void write_all(const void* from, u64 size) {
    for (const u8* at = from; size > 0;) {
        const long n = call(kWrite, 1, (long)at, (long)size, 0, 0, 0);
        if (n <= 0) leave(2);
        at += n;
        size -= (u64)n;
    }
}

static u64 ask(u64 helper, u64 a, u64 b, u64 c, u64 d, u64 e, struct invocation* i) {
    const u64 message[] = {'H', helper, a, b, c, d, e, (u64)i};
    u64 answer;
    write_all(message, sizeof message);
    read_all(&answer, sizeof answer);
    return answer;
}

#define HELPER(n)                                                                    \
    static u64 helper_##n(u64 a, u64 b, u64 c, u64 d, u64 e, struct invocation* i) { \
        return ask(n, a, b, c, d, e, i);                                             \
    }
HELPER(0)
HELPER(1)
HELPER(2)
HELPER(3)
HELPER(4)
HELPER(5)
HELPER(6)
HELPER(7)

static helper* const helpers[] = {helper_0, helper_1, helper_2, helper_3,
                                  helper_4, helper_5, helper_6, helper_7};

/* What code/bounds.cpp does, here. */
static u64 reached_outer_frame, refuses_calls;
static int contains(const struct range* r, u64 address, u64 size) {
    return size <= r->size && address - r->begin <= r->size - size;
}
static u64 access_allowed(const struct bounds* bounds, u64 address, u64 access) {
    const u64 size = access & 255;
    for (const struct frame* f = bounds->frames; f != 0; f = f->outer) {
        if (!contains(&f->memory, address, size)) continue;
        reached_outer_frame |= f != bounds->frames;
        return ~0UL << 8 | 1; /* a bool, which is eight bits */
    }
    return ~0UL << 8 | (u64)contains(&bounds->memory, address, size);
}
static u64 call_checked(u64 a, u64 b, u64 c, u64 d, u64 e, struct invocation* i) {
    if (refuses_calls && a % 16 == 3) {
        i->fault = 5;
        return 0;
    }
    return i->bounds->callee(a, b, c, d, e, i);
}

/* What the convention wants back: x19 to x28 hold known numbers across the call. */
u64 enter_checked(u64 entry, void* memory, u64 size, struct invocation* invocation, u64* changed);
__asm__(
    ".global enter_checked\n"
    "enter_checked:\n"
    "stp x29, x30, [sp, #-112]!\n"
    "stp x19, x20, [sp, #16]\nstp x21, x22, [sp, #32]\nstp x23, x24, [sp, #48]\n"
    "stp x25, x26, [sp, #64]\nstp x27, x28, [sp, #80]\nstr x4, [sp, #96]\n"
    "mov x9, x0\nmov x0, x1\nmov x1, x2\nmov x2, x3\n"
    "mov x19, #19\nmov x20, #20\nmov x21, #21\nmov x22, #22\nmov x23, #23\n"
    "mov x24, #24\nmov x25, #25\nmov x26, #26\nmov x27, #27\nmov x28, #28\n"
    "mov x29, sp\n"
    "blr x9\n"
    "mov x10, #0\nmov x11, sp\ncmp x11, x29\ncinc x10, x10, ne\n"
    "cmp x19, #19\ncinc x10, x10, ne\ncmp x20, #20\ncinc x10, x10, ne\n"
    "cmp x21, #21\ncinc x10, x10, ne\ncmp x22, #22\ncinc x10, x10, ne\n"
    "cmp x25, #25\ncinc x10, x10, ne\ncmp x26, #26\ncinc x10, x10, ne\n"
    "cmp x23, #23\ncinc x10, x10, ne\ncmp x27, #27\ncinc x10, x10, ne\n"
    "ldr x4, [sp, #96]\nstr x10, [x4]\n"
    "ldp x19, x20, [sp, #16]\nldp x21, x22, [sp, #32]\nldp x23, x24, [sp, #48]\n"
    "ldp x25, x26, [sp, #64]\nldp x27, x28, [sp, #80]\n"
    "ldp x29, x30, [sp], #112\n"
    "ret\n");

static void serve(void) {
    static const u32 never;
    struct request q;
    read_all(&q, sizeof q);
    const u64 size = q.code_bytes + q.memory_bytes + 4096 & ~4095UL;
    u8* const code = (u8*)call(kMmap, 0, (long)size, 3, 0x22, -1, 0);
    /* Anonymous and private; where it is to be, there and not over something else. */
    u8* const memory =
        (u8*)call(kMmap, (long)q.memory_at, (long)size, 3, q.memory_at ? 0x100022 : 0x22, -1, 0);
    if (q.memory_at != 0 && memory != (u8*)q.memory_at) leave(3);
    read_all(code, q.code_bytes);
    for (u64 i = 0; i < q.relocations; ++i) {
        u64 r[3], value = 0; /* kinds: 0 a helper's number, 1 an offset in the code, 2 null */
        read_all(r, sizeof r);
        if (r[1] == 0) value = (u64)helpers[r[2] & 7];
        if (r[1] == 1) value = (u64)(code + r[2]);
        __builtin_memcpy(code + r[0], &value, sizeof value);
    }
    read_all(memory, q.memory_bytes);
    call(kMprotect, (long)code, (long)size, 5, 0, 0, 0);
    for (u64 at = 0; at < q.code_bytes; at += 4)
        __asm__ volatile("dc cvau, %0\n dsb ish\n ic ivau, %0\n" : : "r"(code + at) : "memory");
    __asm__ volatile("dsb ish\n isb" : : : "memory");
    struct bounds bounds = {.access = access_allowed,
                            .call = call_checked,
                            .begin = (u64)memory,
                            .memory = {(u64)memory, q.memory_bytes, 1}};
    for (u64 n = 0; n < 4; ++n)
        bounds.room[n] = 1UL << n <= q.memory_bytes ? q.memory_bytes - (1UL << n) + 1 : 0;
    struct invocation invocation = {.fuel = q.fuel,
                                    .cancel = &never,
                                    .may_goto = q.may_goto,
                                    .slot_and_tail_calls = 3,
                                    .bounds = q.checked ? &bounds : 0};
    reached_outer_frame = 0;
    refuses_calls = q.checked == 2;
    u64 changed = 0;
    u64 r0 = enter_checked((u64)(code + q.entry), q.memory_bytes ? memory : 0, q.memory_bytes,
                           &invocation, &changed);
    const u64 answer[] = {
        'R', r0, invocation.fault, changed, invocation.fuel, (u64)memory, reached_outer_frame};
    write_all(answer, sizeof answer);
    write_all(memory, q.memory_bytes);
    call(kMunmap, (long)code, (long)size, 0, 0, 0, 0);
    call(kMunmap, (long)memory, (long)size, 0, 0, 0, 0);
}

void _start(void) {
    for (;;) serve();
}
