/* SPDX-License-Identifier: MIT */
/*
 * What aarch64_unwind_test.cpp runs under an emulator: machine code whose .eh_frame the C
 * library's own unwinder reads. From inside a helper, and from each instruction that a run comes
 * to, it must find enter(), with the registers that enter() had.
 *
 * In the file that is its argument: struct header, relocations (three words each: offset, whether
 * it is an offset in the code, value), code. Prints "helpers N, instructions N, lost N".
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

typedef uint64_t u64;

struct header {
    u64 code_bytes, instructions_end, entry, unwind, relocations;
};
struct invocation { /* code/engine.hpp */
    u64 tail_pending, run_tail, fuel, fault, frames;
    const uint32_t* cancel;
    u64 may_goto, others[6];
    void* bounds;
};
struct bounds { /* code/bounds.hpp; every access is allowed, but not without asking */
    u64 begin, room[4], frames;
    u64 (*callee)(u64, u64, u64, u64, u64, struct invocation*);
    u64 (*access)(const struct bounds*, u64, u64);
    u64 (*call)(u64, u64, u64, u64, u64, struct invocation*);
    u64 others[7];
};

/* Calls the code with numbers of its own in all registers that it must give back. */
u64 enter(void* entry, u64 argument, u64 size, struct invocation* invocation);
extern char enter_end[];
__asm__(
    ".global enter\n.type enter, %function\nenter:\n.cfi_startproc\n"
    "stp x29, x30, [sp, #-96]!\n.cfi_def_cfa_offset 96\n"
    ".cfi_offset 29, -96\n.cfi_offset 30, -88\n"
    "stp x19, x20, [sp, #16]\n.cfi_offset 19, -80\n.cfi_offset 20, -72\n"
    "stp x21, x22, [sp, #32]\n.cfi_offset 21, -64\n.cfi_offset 22, -56\n"
    "stp x23, x24, [sp, #48]\n.cfi_offset 23, -48\n.cfi_offset 24, -40\n"
    "stp x25, x26, [sp, #64]\n.cfi_offset 25, -32\n.cfi_offset 26, -24\n"
    "stp x27, x28, [sp, #80]\n.cfi_offset 27, -16\n.cfi_offset 28, -8\n"
    "mov x9, x0\nmov x0, x1\nmov x1, x2\nmov x2, x3\n"
    "mov x19, #19\nmov x20, #20\nmov x21, #21\nmov x22, #22\nmov x23, #23\n"
    "mov x24, #24\nmov x25, #25\nmov x26, #26\nmov x27, #27\nmov x28, #28\nmov x29, #29\n"
    "blr x9\n"
    "ldp x19, x20, [sp, #16]\nldp x21, x22, [sp, #32]\nldp x23, x24, [sp, #48]\n"
    "ldp x25, x26, [sp, #64]\nldp x27, x28, [sp, #80]\n"
    "ldp x29, x30, [sp], #96\nret\n"
    ".cfi_endproc\nenter_end:\n.size enter, . - enter\n");

/* Wrong data may lead round in a circle. */
enum { kMostFrames = 64, kMostSeconds = 60 };
static int frames_seen;

static _Unwind_Reason_Code look(struct _Unwind_Context* context, void* found) {
    if (++frames_seen > kMostFrames) return _URC_END_OF_STACK;
    const u64 at = _Unwind_GetIP(context);
    if (at < (u64)enter || at > (u64)enter_end) return _URC_NO_REASON;
    int same = 1;
    for (int r = 19; r <= 29; ++r) same &= _Unwind_GetGR(context, r) == (u64)r;
    *(int*)found = same;
    return _URC_END_OF_STACK;
}
static int finds_enter(void) {
    int found = 0;
    frames_seen = 0;
    _Unwind_Backtrace(look, &found);
    return found;
}

static unsigned helpers, instructions, lost;
static int in_helper_only = 1;

static u64 helper(u64 a, u64 b, u64 c, u64 d, u64 e, struct invocation* i) {
    if (in_helper_only) {
        ++helpers;
        lost += !finds_enter();
    }
    /* A callback is called once. */
    if (a > 4096) return ((u64(*)(u64, u64, u64, u64, u64, struct invocation*))a)(1, b, c, d, e, i);
    return b;
}

static u64 allows(const struct bounds* bounds, u64 address, u64 access) {
    (void)bounds, (void)address, (void)access;
    if (in_helper_only) lost += !finds_enter();
    return 1;
}
static u64 passes_on(u64 a, u64 b, u64 c, u64 d, u64 e, struct invocation* i) {
    return ((struct bounds*)i->bounds)->callee(a, b, c, d, e, i);
}

static uint32_t* patched;
static uint32_t original;

static void patch(uint32_t* at, uint32_t word) {
    *at = word;
    __builtin___clear_cache((char*)at, (char*)(at + 1));
}
static void on_break(int signal, siginfo_t* info, void* context) {
    (void)signal, (void)info, (void)context;
    ++instructions;
    if (!finds_enter()) {
        ++lost;
        fprintf(stderr, "lost at instruction %p\n", (void*)patched);
    }
    patch(patched, original);
}

static void run(u64 entry) {
    static const uint32_t never;
    struct bounds bounds = {.access = allows, .call = passes_on};
    struct invocation invocation = {
        .fuel = 1 << 20, .cancel = &never, .may_goto = 8, .bounds = &bounds};
    static u64 memory[8];
    enter((void*)entry, (u64)memory, sizeof memory, &invocation);
}

extern void __register_frame(void*);

int main(int count, char** arguments) {
    FILE* file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    struct header h;
    alarm(kMostSeconds);
    if (!file || fread(&h, sizeof h, 1, file) != 1) return 2;
    u64* const relocations = calloc(h.relocations + 1, 24);
    char* const code = mmap(0, h.code_bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fread(relocations, 24, h.relocations, file) != h.relocations ||
        fread(code, 1, h.code_bytes, file) != h.code_bytes)
        return 2;
    for (u64 i = 0; i < h.relocations; ++i) {
        const u64* r = relocations + 3 * i;
        const u64 value = r[1] ? (u64)code + r[2] : (u64)helper;
        memcpy(code + r[0], &value, sizeof value);
    }
    __builtin___clear_cache(code, code + h.code_bytes);
    __register_frame(code + h.unwind);

    run((u64)code + h.entry);
    in_helper_only = 0;
    struct sigaction action = {.sa_sigaction = on_break, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    for (uint32_t* at = (uint32_t*)code + 2; at < (uint32_t*)(code + h.instructions_end); ++at) {
        patched = at;
        original = *at;
        patch(at, 0xD4200000); /* brk #0 */
        run((u64)code + h.entry);
        patch(at, original);
    }
    printf("helpers %u, instructions %u, lost %u\n", helpers, instructions, lost);
    return 0;
}
