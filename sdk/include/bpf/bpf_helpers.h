/* SPDX-License-Identifier: MIT */
/*
 * For BPF programs in Linux's dialect: helper functions, section and map macros. The interface is
 * libbpf's. Include <linux/bpf.h>, or a vmlinux.h, before this.
 */
#ifndef CASEMENT_BPF_HELPERS_H
#define CASEMENT_BPF_HELPERS_H
#define __BPF_HELPERS__

/* --- the pieces of a map definition, and where things go --- */

/* A number is told by the type of an array: only types reach the object's BTF. */
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val)* name
#define __array(name, val) typeof(val)* name[]
#define __ulong(name, val) enum { BPF_PASTE(name##_, __LINE__) = val } name

#define SEC(name) __attribute__((section(name), used))

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
#define __hidden __attribute__((visibility("hidden")))
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))

#if __has_attribute(btf_type_tag)
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#define __kptr_ref __attribute__((btf_type_tag("kptr_ref")))
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#endif
#if __has_attribute(btf_decl_tag)
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))
#endif

enum libbpf_pin_type { LIBBPF_PIN_NONE, LIBBPF_PIN_BY_NAME };
enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };

/* --- helper functions --- */

#include "bpf_helper_defs.h"

/* --- small things that programs expect --- */

#ifndef NULL
#define NULL ((void*)0)
#endif
#ifndef KERNEL_VERSION
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
#ifndef container_of
#define container_of(ptr, type, member) \
    ((type*)((char*)(1 ? (ptr) : &((type*)0)->member) - offsetof(type, member)))
#endif
#ifndef barrier
#define barrier() asm volatile("" ::: "memory")
#endif
/* The compiler forgets what it knows about a variable. */
#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif
#ifndef __bpf_unreachable
#define __bpf_unreachable() __builtin_trap()
#endif

#define BPF_PASTE_(a, b) a##b
#define BPF_PASTE(a, b) BPF_PASTE_(a, b)

/* A tail call whose map and index are constants in the code; ctx in r1, map in r2, index in r3. */
#if defined(__bpf__)
static __always_inline void bpf_tail_call_static(void* ctx, const void* map, const __u32 slot) {
    if (!__builtin_constant_p(slot)) __bpf_unreachable();
    asm volatile(
        "r1 = %[ctx]\n\t"
        "r2 = %[map]\n\t"
        "r3 = %[slot]\n\t"
        "call 12" ::[ctx] "r"(ctx),
        [map] "r"(map), [slot] "i"(slot)
        : "r0", "r1", "r2", "r3", "r4", "r5");
}
#endif

/* --- kernel functions, and loops over numbers --- */

/* Whether the execution context has the function or variable; it must be declared __weak. */
#define bpf_ksym_exists(sym) (!!(sym))

struct bpf_iter_num;
extern int bpf_iter_num_new(struct bpf_iter_num* it, int start, int end) __weak __ksym;
extern int* bpf_iter_num_next(struct bpf_iter_num* it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num* it) __weak __ksym;

#if defined(__bpf__)
/* What an iterator occupies; struct bpf_iter_num is complete in newer headers of the kernel only.
 */
struct bpf_numbers_ {
    unsigned long long opaque[1];
} __attribute__((aligned(8)));
#define BPF_NUMBERS_ ((struct bpf_iter_num*)&bpf_numbers_)
static __always_inline void bpf_numbers_end_(struct bpf_numbers_* numbers) {
    bpf_iter_num_destroy((struct bpf_iter_num*)numbers);
}

/* bpf_for(i, 0, n) ...: i is each number from the first to the one before the last, at most
 * 8,388,608 of them. break, continue and return may be used as in any loop. */
#define bpf_for(i, start, end)                                                          \
    for (struct bpf_numbers_ bpf_numbers_ __attribute__((cleanup(bpf_numbers_end_))),   \
         *bpf_begun_ __attribute__((unused)) =                                          \
             (bpf_iter_num_new(BPF_NUMBERS_, (start), (end)), (struct bpf_numbers_*)0); \
         ({                                                                             \
             int* bpf_next_ = bpf_iter_num_next(BPF_NUMBERS_);                          \
             bpf_next_ && ((i) = *bpf_next_, (i) >= (start) && (i) < (end));            \
         });)

/* bpf_repeat(n) ...: n times. */
#define bpf_repeat(n)                                                                 \
    for (struct bpf_numbers_ bpf_numbers_ __attribute__((cleanup(bpf_numbers_end_))), \
         *bpf_begun_ __attribute__((unused)) =                                        \
             (bpf_iter_num_new(BPF_NUMBERS_, 0, (n)), (struct bpf_numbers_*)0);       \
         bpf_iter_num_next(BPF_NUMBERS_);)
#endif

/* --- printing --- */

/* Number of arguments, 0 to 12, and the arguments as 64-bit array elements. */
#define BPF_PICK(_, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, n, ...) n
#define BPF_COUNT(...) BPF_PICK(_, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define BPF_U64_0()
#define BPF_U64_1(x) (unsigned long long)(x)
#define BPF_U64_2(x, ...) BPF_U64_1(x), BPF_U64_1(__VA_ARGS__)
#define BPF_U64_3(x, ...) BPF_U64_1(x), BPF_U64_2(__VA_ARGS__)
#define BPF_U64_4(x, ...) BPF_U64_1(x), BPF_U64_3(__VA_ARGS__)
#define BPF_U64_5(x, ...) BPF_U64_1(x), BPF_U64_4(__VA_ARGS__)
#define BPF_U64_6(x, ...) BPF_U64_1(x), BPF_U64_5(__VA_ARGS__)
#define BPF_U64_7(x, ...) BPF_U64_1(x), BPF_U64_6(__VA_ARGS__)
#define BPF_U64_8(x, ...) BPF_U64_1(x), BPF_U64_7(__VA_ARGS__)
#define BPF_U64_9(x, ...) BPF_U64_1(x), BPF_U64_8(__VA_ARGS__)
#define BPF_U64_10(x, ...) BPF_U64_1(x), BPF_U64_9(__VA_ARGS__)
#define BPF_U64_11(x, ...) BPF_U64_1(x), BPF_U64_10(__VA_ARGS__)
#define BPF_U64_12(x, ...) BPF_U64_1(x), BPF_U64_11(__VA_ARGS__)
#define BPF_U64(...) BPF_PASTE(BPF_U64_, BPF_COUNT(__VA_ARGS__))(__VA_ARGS__)

/* Calls `function`(before..., format, its size or not, array, its size) with the arguments in an
 * array. */
#define BPF_WITH_ARGS(call, fmt, ...)                            \
    ({                                                           \
        static const char bpf_format_[] = fmt;                   \
        unsigned long long bpf_args_[] = {BPF_U64(__VA_ARGS__)}; \
        call;                                                    \
    })

#define BPF_SEQ_PRINTF(seq, fmt, ...)                                                             \
    BPF_WITH_ARGS(                                                                                \
        bpf_seq_printf(seq, bpf_format_, sizeof(bpf_format_), bpf_args_, sizeof(bpf_args_)), fmt, \
        ##__VA_ARGS__)

#define BPF_SNPRINTF(out, out_size, fmt, ...)                                                  \
    BPF_WITH_ARGS(bpf_snprintf(out, out_size, bpf_format_, bpf_args_, sizeof(bpf_args_)), fmt, \
                  ##__VA_ARGS__)

/* With up to three arguments the old helper does; the format is read-only data, or on the stack for
 * a loader without global data. */
#ifdef BPF_NO_GLOBAL_DATA
#define BPF_FORMAT_STORAGE
#else
#define BPF_FORMAT_STORAGE static const
#endif
#define BPF_PRINTK_FEW(fmt, ...)                                           \
    ({                                                                     \
        BPF_FORMAT_STORAGE char bpf_format_[] = fmt;                       \
        bpf_trace_printk(bpf_format_, sizeof(bpf_format_), ##__VA_ARGS__); \
    })
#define BPF_PRINTK_MANY(fmt, ...)                                                               \
    BPF_WITH_ARGS(                                                                              \
        bpf_trace_vprintk(bpf_format_, sizeof(bpf_format_), bpf_args_, sizeof(bpf_args_)), fmt, \
        ##__VA_ARGS__)
#define BPF_PRINTK_0 BPF_PRINTK_FEW
#define BPF_PRINTK_1 BPF_PRINTK_FEW
#define BPF_PRINTK_2 BPF_PRINTK_FEW
#define BPF_PRINTK_3 BPF_PRINTK_FEW
#define BPF_PRINTK_4 BPF_PRINTK_MANY
#define BPF_PRINTK_5 BPF_PRINTK_MANY
#define BPF_PRINTK_6 BPF_PRINTK_MANY
#define BPF_PRINTK_7 BPF_PRINTK_MANY
#define BPF_PRINTK_8 BPF_PRINTK_MANY
#define BPF_PRINTK_9 BPF_PRINTK_MANY
#define BPF_PRINTK_10 BPF_PRINTK_MANY
#define BPF_PRINTK_11 BPF_PRINTK_MANY
#define BPF_PRINTK_12 BPF_PRINTK_MANY
#define bpf_printk(fmt, ...) BPF_PASTE(BPF_PRINTK_, BPF_COUNT(__VA_ARGS__))(fmt, ##__VA_ARGS__)

#endif /* CASEMENT_BPF_HELPERS_H */
