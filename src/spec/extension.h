/* SPDX-License-Identifier: MIT */
/*
 * The contract between the execution context and extensions (hook providers), in C, because on
 * Windows the two are drivers of different makers. Its shape follows eBPF for Windows' version-1
 * structures: every structure begins with a header that says its version and size, so that either
 * side may be newer. In user mode the structures are passed by a function call
 * (runtime/extensions.hpp); in the Windows kernel through the module registrar.
 *
 * Helpers of a program type have the calling convention of compiled code: five registers, and the
 * running invocation as a hidden sixth argument.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ebpf_extension_header {
    uint16_t version;
    size_t size;       /* up to and with the last field that the writer knows */
    size_t total_size; /* sizeof, tail padding included */
} ebpf_extension_header_t;

/* An attached program as its hook holds it; made and kept alive by the execution context. */
typedef struct ebpf_binding ebpf_binding_t;

/* What `invocation` points to begins with this. */
typedef struct ebpf_invocation {
    uint64_t reserved[8];
    void* context; /* that the hook invoked the program with */
} ebpf_invocation_t;

typedef uint64_t (*ebpf_helper_fn)(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5,
                                   void* invocation);

/* What the execution context offers to hooks. */
typedef struct ebpf_client_dispatch {
    ebpf_extension_header_t header;
    /* Runs the bound program; *result is r0. 0, or an error of base/errors.def: then nothing ran.
     */
    uint32_t (*invoke)(const ebpf_binding_t* binding, void* context, uint64_t* result);
    /* The same of the binding that is in `*place` by then, for hooks where that may change at any
     * time. ObjectNotFound when that is null or of another target. *dialect is set before the
     * program runs, whose helpers may look at it. `client` is this. */
    uint32_t (*invoke_at)(const struct ebpf_client_dispatch* client,
                          const ebpf_binding_t* const* place, uint32_t target, void* context,
                          uint8_t* dialect, uint64_t* result);
    /* The same for many packets in a row, with the cost of entering paid once. Between begin and
     * end the thread may not wait. `state` is 64 bytes of the caller's, 8-aligned; `client` is
     * this. */
    uint32_t (*batch_begin)(const struct ebpf_client_dispatch* client, void* state);
    uint32_t (*batch_invoke)(const ebpf_binding_t* binding, void* context, uint64_t* result,
                             const void* state);
    void (*batch_end)(void* state);
    /* The dialect of the bound program (spec::Dialect): whose verdict numbers it returns. */
    uint32_t (*dialect)(const ebpf_binding_t* binding);
} ebpf_client_dispatch_t;

typedef struct ebpf_extension_helper {
    uint32_t id; /* spec::Helper */
    ebpf_helper_fn function;
} ebpf_extension_helper_t;

/* A context for BPF_PROG_TEST_RUN, and what the program did with it. */
typedef struct ebpf_test_run {
    ebpf_extension_header_t header;
    const uint8_t* data_in;
    size_t data_size_in;
    const uint8_t* context_in;
    size_t context_size_in;
    uint8_t* data_out;
    size_t data_size_out; /* in: room; out: size of the data, also when it did not fit */
    uint8_t* context_out;
    size_t context_size_out;
} ebpf_test_run_t;

/* Whether an attachment may take the place of another. */
enum { EBPF_ATTACH_IF_NONE = 1u << 0, EBPF_ATTACH_REPLACE = 1u << 4 };

typedef struct ebpf_hook_provider {
    ebpf_extension_header_t header;
    uint32_t program_type; /* spec::ProgramType */
    uint32_t attach_type;  /* spec::AttachType */
    void* self;
    /* `target` is what the attach type says, e.g. an interface index. The provider may invoke the
     * binding until detach returns. Errors of base/errors.def. */
    uint32_t (*attach)(void* self, const ebpf_client_dispatch_t* client,
                       const ebpf_binding_t* binding, uint32_t target);
    /* Returns when no invocation of the binding is running or will start. */
    void (*detach)(void* self, const ebpf_binding_t* binding, uint32_t target);
    const ebpf_extension_helper_t* helpers;
    size_t helper_count;
    /* For test runs: *context is what the program gets. reset_context() puts it back between
     * repeats. destroy_context() fills the outputs. */
    uint32_t (*create_context)(void* self, const ebpf_test_run_t* run, void** context);
    void (*reset_context)(void* self, const ebpf_test_run_t* run, void* context);
    uint32_t (*destroy_context)(void* self, ebpf_test_run_t* run, void* context);
} ebpf_hook_provider_t;

#ifdef __cplusplus
}
#endif
