/* SPDX-License-Identifier: MIT */
/*
 * For BPF programs in eBPF for Windows' dialect: helper functions, section and map macros, the
 * network hooks. The interface is that of eBPF for Windows' header of this name.
 */
#ifndef CASEMENT_WINDOWS_BPF_HELPERS_H
#define CASEMENT_WINDOWS_BPF_HELPERS_H

#include "bpf_helpers_platform.h"
#include "ebpf_structs.h"

/* A number is told by the type of an array: only types reach the object's BTF. */
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val)* name
#define __array(name, val) typeof(val)* name[]

#define SEC(name) __attribute__((section(name), used))

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef __hidden
#define __hidden __attribute__((visibility("hidden")))
#endif
#ifndef NULL
#define NULL ((void*)0)
#endif

#define bpf_map_def _ebpf_map_definition_in_file
#define bpf_map _ebpf_map_definition_in_file

/* How an extension's header declares a helper: name_t is the function's type. */
#ifndef EBPF_HELPER
#define EBPF_HELPER(return_type, name, args) typedef return_type(*const name##_t) args
#endif

#include "bpf_helper_defs.h"

/* --- printing: a helper for each number of arguments --- */

#define EBPF_PASTE_(a, b) a##b
#define EBPF_PASTE(a, b) EBPF_PASTE_(a, b)
#define EBPF_PICK(_1, _2, _3, _4, _5, n, ...) n
#define EBPF_COUNT(...) EBPF_PICK(__VA_ARGS__, 5, 4, 3, 2, 1, )
#define bpf_trace_printk(fmt, size, ...) \
    EBPF_PASTE(bpf_trace_printk, EBPF_COUNT(fmt, size, ##__VA_ARGS__))(fmt, size, ##__VA_ARGS__)
#define bpf_printk(fmt, ...)                                                 \
    ({                                                                       \
        char ebpf_format_[] = fmt;                                           \
        bpf_trace_printk(ebpf_format_, sizeof(ebpf_format_), ##__VA_ARGS__); \
    })

/* --- memory --- */

/* A constant size becomes instructions, any other a call of the helper. The values are those of the
 * helpers: 0, or what is not 0 for memset. */
#define EBPF_INLINE_SIZE(size) (__builtin_constant_p(size) && (size) <= 512)
#define EBPF_CONSTANT(size) (EBPF_INLINE_SIZE(size) ? (size) : 0)
#define memcpy(destination, source, size)                                         \
    (EBPF_INLINE_SIZE(size)                                                       \
         ? ((void)__builtin_memcpy(destination, source, EBPF_CONSTANT(size)), 0L) \
         : (long)bpf_memcpy_s(destination, size, source, size))
#define memmove(destination, source, size)                                         \
    (EBPF_INLINE_SIZE(size)                                                        \
         ? ((void)__builtin_memmove(destination, source, EBPF_CONSTANT(size)), 0L) \
         : (long)bpf_memmove_s(destination, size, source, size))
#define memset(memory, value, size)                                                            \
    (EBPF_INLINE_SIZE(size) ? ((void)__builtin_memset(memory, value, EBPF_CONSTANT(size)), 1L) \
                            : (long)bpf_memset(memory, size, value))
#define memcmp(memory1, memory2, size) bpf_memcmp_s(memory1, size, memory2, size)
#define memcpy_s bpf_memcpy_s
#define memmove_s bpf_memmove_s
/* Names of older headers. */
#define bpf_memcpy bpf_memcpy_s
#define bpf_memmove bpf_memmove_s
#define bpf_memcmp bpf_memcmp_s

#include "ebpf_nethooks.h"

#endif /* CASEMENT_WINDOWS_BPF_HELPERS_H */
