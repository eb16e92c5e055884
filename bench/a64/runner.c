/* SPDX-License-Identifier: MIT */
/*
 * Runs one of the benchmark's programs some number of times: as clang compiled it for AArch64, or
 * as machine code that comes on standard input. Freestanding, for an emulator that counts.
 *
 * Input: struct request, the programs' input, code. Output: r0 of the last run.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define COMPUTE(name) u64 name##_a64(const u8* data, u64 size);
#define BYTES COMPUTE
#include "../programs/programs.def"
#undef COMPUTE

typedef u64 native_fn(const u8* data, u64 size);
static native_fn* const natives[] = {
#define COMPUTE(name) name##_a64,
#include "../programs/programs.def"
#undef COMPUTE
};

enum { kInputBytes = 2048, kMaxCode = 1 << 20 };
enum { kRead = 63, kWrite = 64, kExit = 93, kMprotect = 226 };

struct request {
    u64 native; /* index, or all ones: the code */
    u64 times, code_bytes, entry;
};

static u8 code[kMaxCode] __attribute__((aligned(4096)));
static u8 input[kInputBytes] __attribute__((aligned(16)));

static long call(long number, long a, long b, long c) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
static void leave(int status) {
    call(kExit, status, 0, 0);
    __builtin_trap();
}
static void read_all(void* to, u64 size) {
    for (u8* at = to; size > 0;) {
        const long n = call(kRead, 0, (long)at, (long)size);
        if (n <= 0) leave(2);
        at += n;
        size -= (u64)n;
    }
}

void _start(void) {
    struct request q;
    read_all(&q, sizeof q);
    if (q.code_bytes > kMaxCode) leave(2);
    read_all(input, sizeof input);
    read_all(code, q.code_bytes);
    call(kMprotect, (long)code, sizeof code, 5);
    /* code::Invocation, of which programs without helpers look at the count of frames only. */
    u64 invocation[16] = {0};
    typedef u64 entry_fn(const u8*, u64, u64*);
    u64 result = 0;
    for (u64 i = 0; i < q.times; ++i) {
        result = q.native < sizeof natives / sizeof *natives
                     ? natives[q.native](input, sizeof input)
                     : ((entry_fn*)(code + q.entry))(input, sizeof input, invocation);
    }
    call(kWrite, 1, (long)&result, sizeof result);
    leave(0);
}
