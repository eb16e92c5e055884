/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine for embedders: one program at a time, over memory that the application hands
 * in, with helper functions that the application provides. It verifies the program (or is told to
 * trust it), compiles it, and runs it; no maps, hooks or descriptors are involved (libbpf.h has
 * those).
 *
 *     casement_vm* vm = casement_vm_create();
 *     casement_vm_add_helper(vm, &(struct casement_helper){
 *         .number = 1, .name = "log2", .function = my_log2,
 *         .ret = CASEMENT_RET_SCALAR, .args = {CASEMENT_ARG_SCALAR}});
 *     if (casement_vm_load_elf(vm, object, object_size, NULL) == 0 && casement_vm_compile(vm) == 0)
 *         casement_vm_run(vm, memory, memory_size, &result);
 *     else
 *         fprintf(stderr, "%s\n", casement_vm_error(vm));
 *     casement_vm_destroy(vm);
 *
 * What a program may do. It is entered with r1 = the memory's address and r2 = its size in bytes.
 * The verifier lets it touch the first casement_vm_set_memory_size() bytes of the memory and its
 * own stack; to it r2 is a number like any other, which proves nothing about the memory.
 *
 * Results. Functions return 0 or a negative error number (Linux's), and then casement_vm_error() is
 * a sentence that says what was wrong, and where. Nothing is printed.
 *
 * Threads. A VM belongs to one thread at a time until casement_vm_compile() succeeded; from then
 * until the next load, compile or destroy, casement_vm_run() and the function that
 * casement_vm_entry() returned may be called by any number of threads at once, and by helpers.
 * Different VMs share nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifndef CASEMENT_API
#define CASEMENT_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct casement_vm casement_vm;

enum casement_engine {
    CASEMENT_ENGINE_JIT = 0,
    CASEMENT_ENGINE_INTERPRETER = 1,
};

/* What an argument of a helper must be; the verifier checks every call against it. */
enum casement_arg {
    CASEMENT_ARG_NONE = 0, /* not an argument */
    CASEMENT_ARG_ANYTHING, /* any initialised value, pointers too */
    CASEMENT_ARG_SCALAR,   /* a number */
    CASEMENT_ARG_CONTEXT,  /* the memory that the program was entered with, as it got it in r1 */
    CASEMENT_ARG_READABLE, /* initialised memory; the next argument is its size */
    CASEMENT_ARG_WRITABLE, /* memory that the helper fills; the next argument is its size */
    CASEMENT_ARG_SIZE,     /* size of the memory before it, greater than 0 */
    CASEMENT_ARG_SIZE_OR_ZERO,
};

enum casement_ret {
    CASEMENT_RET_VOID = 0,
    CASEMENT_RET_SCALAR,
};

/* A helper as compiled code calls it; `call` belongs to the running call, see casement_call_data().
 */
struct casement_call;
typedef uint64_t (*casement_helper_fn)(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4,
                                       uint64_t r5, struct casement_call* call);

struct casement_helper {
    uint32_t number;  /* as in the call instruction; below 2^31 */
    const char* name; /* for messages; copied */
    casement_helper_fn function;
    enum casement_ret ret;
    enum casement_arg args[5];
};

/* A new VM without a program, with the JIT where this machine has one and verification on. NULL
 * when memory is short. */
CASEMENT_API casement_vm* casement_vm_create(void);
CASEMENT_API void casement_vm_destroy(casement_vm* vm);

/* Before a load. The helper stays registered for every later program of this VM. */
CASEMENT_API int casement_vm_add_helper(casement_vm* vm, const struct casement_helper* helper);
/* What casement_call_data() gives to helpers. */
CASEMENT_API void casement_vm_set_data(casement_vm* vm, void* data);
CASEMENT_API void* casement_call_data(const struct casement_call* call);

/* Before compile: -EOPNOTSUPP when this machine has no JIT. */
CASEMENT_API int casement_vm_set_engine(casement_vm* vm, enum casement_engine engine);
/* Before compile, for the JIT: how much is done for fast code. The default level translates once
 * through; the optimising one takes about five times as long to compile. A program with fuel is
 * compiled at the default level, whose instructions are the program's. The interpreter ignores it.
 */
enum casement_level {
    CASEMENT_LEVEL_DEFAULT = 0,
    CASEMENT_LEVEL_OPTIMISE = 1,
};
CASEMENT_API int casement_vm_set_level(casement_vm* vm, enum casement_level level);
/* Every run will have at least `size` bytes of memory: the program need not check for them. A run
 * with less is refused. At most 32767. */
CASEMENT_API int casement_vm_set_memory_size(casement_vm* vm, size_t size);
/* Skip verification. The program can then read and write anything in the process and need not end:
 * for programs from where the application's own code comes from. */
CASEMENT_API void casement_vm_trust(casement_vm* vm, int trusted);
/* Before compile: instead of verification, every access and call is checked while the program runs.
 * It may touch the whole memory of its run, its own stack (which begins with zeros, as registers
 * do; r1 to r5 are 0 after a call) and the ranges added below; helpers get only pointers of which
 * that holds for the size that their prototype says follows. The run ends with -EFAULT at the first
 * access or call beyond; what it did before stands. Nothing makes such a program end: set fuel.
 * Both engines end a run at the same instruction (only how far the frames of nested calls are
 * apart, and where exactly fuel ends, is each one's own). The JIT compiles at the default level
 * then, and casement_vm_entry() gives no function. */
CASEMENT_API void casement_vm_set_checked(casement_vm* vm, int checked);
/* While no run is on: what checked programs may read, and write if `writable`, in every run. The
 * memory stays the caller's and must outlive the VM's runs. */
CASEMENT_API int casement_vm_add_range(casement_vm* vm, const void* memory, size_t size,
                                       int writable);
/* A run ends with -ETIMEDOUT before it does more instructions than this. 0: no limit. With the JIT,
 * set whether there is a limit before compile (code without one does not count); the number may
 * change later for casement_vm_run(), while casement_vm_entry()'s function keeps that of compile,
 * and returns 0 when it ends early. */
CASEMENT_API void casement_vm_set_fuel(casement_vm* vm, uint64_t instructions);

/* Before compile: runs can be cancelled. */
CASEMENT_API void casement_vm_set_cancellable(casement_vm* vm, int cancellable);
/* From any thread, while the VM exists: runs end with -ECANCELED soon, those that begin later too,
 * until `cancelled` is 0 again. -EINVAL when the VM is not cancellable. */
CASEMENT_API int casement_vm_cancel(casement_vm* vm, int cancelled);

/* Before compile, for the JIT's code. A flag that it lacks on this machine makes compile fail with
 * -EOPNOTSUPP. The interpreter has neither constants in code nor code of its own, and ignores them.
 */
enum casement_hardening {
    CASEMENT_BLIND_CONSTANTS = 1,     /* no constant of the program stands in executable pages */
    CASEMENT_SAFE_INDIRECT_CALLS = 2, /* calls of helpers by retpolines */
};
CASEMENT_API int casement_vm_set_hardening(casement_vm* vm, unsigned int flags);

/* Load replaces the program. `code` is instructions of 8 bytes, RFC 9669 section 3. */
CASEMENT_API int casement_vm_load(casement_vm* vm, const void* code, size_t size);
/* Of an ELF object, the program of that function name, or the only one. */
CASEMENT_API int casement_vm_load_elf(casement_vm* vm, const void* object, size_t size,
                                      const char* program);

/* 0 when the verifier accepts the program; -EACCES and a report in casement_vm_error() otherwise.
 */
CASEMENT_API int casement_vm_verify(casement_vm* vm);
/* Verifies unless trusted or done already, then makes the program ready to run. */
CASEMENT_API int casement_vm_compile(casement_vm* vm);

/* Runs it; *result is r0. `memory` may be NULL with size 0. */
CASEMENT_API int casement_vm_run(const casement_vm* vm, void* memory, size_t size,
                                 uint64_t* result);

/* The compiled program as a plain function: r0 for the program's memory and its size, without the
 * checks of casement_vm_run() (so there is none of a checked program): `size` must be at least what
 * casement_vm_set_memory_size() promised, and `memory` that long. NULL unless compiled by the JIT.
 * Valid until the next load, compile or destroy; helpers see the data that was set when the program
 * was compiled. */
typedef uint64_t (*casement_entry_fn)(void* memory, size_t size);
CASEMENT_API casement_entry_fn casement_vm_entry(const casement_vm* vm);

/* Bytes of machine code; 0 for the interpreter. */
CASEMENT_API size_t casement_vm_code_size(const casement_vm* vm);

/* What went wrong last, as text that is valid until the next call on this VM; "" when nothing did.
 */
CASEMENT_API const char* casement_vm_error(const casement_vm* vm);

#ifdef __cplusplus
}
#endif
