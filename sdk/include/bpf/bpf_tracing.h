/* SPDX-License-Identifier: MIT */
/*
 * Arguments of traced functions: registers of a probe by the calling convention (x86-64 and
 * AArch64) and typed parameter lists for program functions. The interface is libbpf's. For a
 * program's target define __TARGET_ARCH_x86 or __TARGET_ARCH_arm64, else the compiling machine's is
 * taken.
 */
#ifndef CASEMENT_BPF_TRACING_H
#define CASEMENT_BPF_TRACING_H
#define __BPF_TRACING_H__

#include "bpf_helpers.h"

#if defined(__TARGET_ARCH_arm64) || (!defined(__TARGET_ARCH_x86) && defined(__aarch64__))
#define PT_REGS_CAST(x) ((const struct user_pt_regs*)(x))
#define PT_REG_1 regs[0]
#define PT_REG_2 regs[1]
#define PT_REG_3 regs[2]
#define PT_REG_4 regs[3]
#define PT_REG_4_SYSCALL regs[3]
#define PT_REG_5 regs[4]
#define PT_REG_6 regs[5]
#define PT_REG_RETURN_ADDRESS regs[30]
#define PT_REG_FRAME regs[29]
#define PT_REG_RESULT regs[0]
#define PT_REG_SP sp
#define PT_REG_IP pc
#elif defined(__KERNEL__) || defined(__VMLINUX_H__)
#define PT_REGS_CAST(x) (x)
#define PT_REG_1 di
#define PT_REG_2 si
#define PT_REG_3 dx
#define PT_REG_4 cx
#define PT_REG_4_SYSCALL r10
#define PT_REG_5 r8
#define PT_REG_6 r9
#define PT_REG_RETURN_ADDRESS sp
#define PT_REG_FRAME bp
#define PT_REG_RESULT ax
#define PT_REG_SP sp
#define PT_REG_IP ip
#else
#define PT_REGS_CAST(x) (x)
#define PT_REG_1 rdi
#define PT_REG_2 rsi
#define PT_REG_3 rdx
#define PT_REG_4 rcx
#define PT_REG_4_SYSCALL r10
#define PT_REG_5 r8
#define PT_REG_6 r9
#define PT_REG_RETURN_ADDRESS rsp
#define PT_REG_FRAME rbp
#define PT_REG_RESULT rax
#define PT_REG_SP rsp
#define PT_REG_IP rip
#endif

#define PT_REGS_PARM1(x) (PT_REGS_CAST(x)->PT_REG_1)
#define PT_REGS_PARM2(x) (PT_REGS_CAST(x)->PT_REG_2)
#define PT_REGS_PARM3(x) (PT_REGS_CAST(x)->PT_REG_3)
#define PT_REGS_PARM4(x) (PT_REGS_CAST(x)->PT_REG_4)
#define PT_REGS_PARM5(x) (PT_REGS_CAST(x)->PT_REG_5)
#define PT_REGS_PARM6(x) (PT_REGS_CAST(x)->PT_REG_6)
#define PT_REGS_RET(x) (PT_REGS_CAST(x)->PT_REG_RETURN_ADDRESS)
#define PT_REGS_FP(x) (PT_REGS_CAST(x)->PT_REG_FRAME)
#define PT_REGS_RC(x) (PT_REGS_CAST(x)->PT_REG_RESULT)
#define PT_REGS_SP(x) (PT_REGS_CAST(x)->PT_REG_SP)
#define PT_REGS_IP(x) (PT_REGS_CAST(x)->PT_REG_IP)

#define PT_REGS_PARM1_SYSCALL(x) PT_REGS_PARM1(x)
#define PT_REGS_PARM2_SYSCALL(x) PT_REGS_PARM2(x)
#define PT_REGS_PARM3_SYSCALL(x) PT_REGS_PARM3(x)
#define PT_REGS_PARM4_SYSCALL(x) (PT_REGS_CAST(x)->PT_REG_4_SYSCALL)
#define PT_REGS_PARM5_SYSCALL(x) PT_REGS_PARM5(x)
#define PT_REGS_PARM6_SYSCALL(x) PT_REGS_PARM6(x)

/* The same through CO-RE, for a pt_regs that is not the context; needs bpf_core_read.h. */
#define PT_REGS_PARM1_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_1)
#define PT_REGS_PARM2_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_2)
#define PT_REGS_PARM3_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_3)
#define PT_REGS_PARM4_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_4)
#define PT_REGS_PARM5_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_5)
#define PT_REGS_PARM6_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_6)
#define PT_REGS_RET_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_RETURN_ADDRESS)
#define PT_REGS_FP_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_FRAME)
#define PT_REGS_RC_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_RESULT)
#define PT_REGS_SP_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_SP)
#define PT_REGS_IP_CORE(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_IP)
#define PT_REGS_PARM1_CORE_SYSCALL(x) PT_REGS_PARM1_CORE(x)
#define PT_REGS_PARM2_CORE_SYSCALL(x) PT_REGS_PARM2_CORE(x)
#define PT_REGS_PARM3_CORE_SYSCALL(x) PT_REGS_PARM3_CORE(x)
#define PT_REGS_PARM4_CORE_SYSCALL(x) BPF_CORE_READ(PT_REGS_CAST(x), PT_REG_4_SYSCALL)
#define PT_REGS_PARM5_CORE_SYSCALL(x) PT_REGS_PARM5_CORE(x)
#define PT_REGS_PARM6_CORE_SYSCALL(x) PT_REGS_PARM6_CORE(x)

/* --- typed parameters --- */

/*
 * BPF_PROG(name, int a, void *b) { ... } defines the program `name(unsigned long long *ctx)` around
 * a body that sees `ctx`, a and b. The casts go through void *, which fits every argument type.
 */
#define BPF_PARAMETERS(name, context, arguments, ...)                                          \
    name(context);                                                                             \
    static __always_inline typeof(name(0)) BPF_PASTE(bpf_body_, name)(context, ##__VA_ARGS__); \
    typeof(name(0)) name(context) {                                                            \
        _Pragma("GCC diagnostic push")                                                         \
            _Pragma("GCC diagnostic ignored \"-Wint-conversion\"") return BPF_PASTE(           \
                bpf_body_, name)(arguments);                                                   \
        _Pragma("GCC diagnostic pop")                                                          \
    }                                                                                          \
    static __always_inline typeof(name(0)) BPF_PASTE(bpf_body_, name)(context, ##__VA_ARGS__)

/* The body need not look at the context itself. */
#define BPF_UNUSED __attribute__((unused))
#define BPF_CTX_0() ctx
#define BPF_CTX_1(x) BPF_CTX_0(), (void*)ctx[0]
#define BPF_CTX_2(x, ...) BPF_CTX_1(__VA_ARGS__), (void*)ctx[1]
#define BPF_CTX_3(x, ...) BPF_CTX_2(__VA_ARGS__), (void*)ctx[2]
#define BPF_CTX_4(x, ...) BPF_CTX_3(__VA_ARGS__), (void*)ctx[3]
#define BPF_CTX_5(x, ...) BPF_CTX_4(__VA_ARGS__), (void*)ctx[4]
#define BPF_CTX_6(x, ...) BPF_CTX_5(__VA_ARGS__), (void*)ctx[5]
#define BPF_CTX_7(x, ...) BPF_CTX_6(__VA_ARGS__), (void*)ctx[6]
#define BPF_CTX_8(x, ...) BPF_CTX_7(__VA_ARGS__), (void*)ctx[7]
#define BPF_CTX_9(x, ...) BPF_CTX_8(__VA_ARGS__), (void*)ctx[8]
#define BPF_CTX_10(x, ...) BPF_CTX_9(__VA_ARGS__), (void*)ctx[9]
#define BPF_CTX_11(x, ...) BPF_CTX_10(__VA_ARGS__), (void*)ctx[10]
#define BPF_CTX_12(x, ...) BPF_CTX_11(__VA_ARGS__), (void*)ctx[11]
#define BPF_CTX(...) BPF_PASTE(BPF_CTX_, BPF_COUNT(__VA_ARGS__))(__VA_ARGS__)
#define BPF_PROG(name, ...) \
    BPF_PARAMETERS(name, unsigned long long* ctx BPF_UNUSED, BPF_CTX(__VA_ARGS__), ##__VA_ARGS__)

#define BPF_REGS_0() ctx
#define BPF_REGS_1(x) BPF_REGS_0(), (void*)PT_REGS_PARM1(ctx)
#define BPF_REGS_2(x, ...) BPF_REGS_1(__VA_ARGS__), (void*)PT_REGS_PARM2(ctx)
#define BPF_REGS_3(x, ...) BPF_REGS_2(__VA_ARGS__), (void*)PT_REGS_PARM3(ctx)
#define BPF_REGS_4(x, ...) BPF_REGS_3(__VA_ARGS__), (void*)PT_REGS_PARM4(ctx)
#define BPF_REGS_5(x, ...) BPF_REGS_4(__VA_ARGS__), (void*)PT_REGS_PARM5(ctx)
#define BPF_REGS_6(x, ...) BPF_REGS_5(__VA_ARGS__), (void*)PT_REGS_PARM6(ctx)
#define BPF_REGS(...) BPF_PASTE(BPF_REGS_, BPF_COUNT(__VA_ARGS__))(__VA_ARGS__)
#define BPF_KPROBE(name, ...) \
    BPF_PARAMETERS(name, struct pt_regs* ctx BPF_UNUSED, BPF_REGS(__VA_ARGS__), ##__VA_ARGS__)
#define BPF_UPROBE(name, ...) BPF_KPROBE(name, ##__VA_ARGS__)

#define BPF_RESULT_0() ctx
#define BPF_RESULT_1(x) ctx, (void*)PT_REGS_RC(ctx)
#define BPF_RESULT(...) BPF_PASTE(BPF_RESULT_, BPF_COUNT(__VA_ARGS__))(__VA_ARGS__)
#define BPF_KRETPROBE(name, ...) \
    BPF_PARAMETERS(name, struct pt_regs* ctx BPF_UNUSED, BPF_RESULT(__VA_ARGS__), ##__VA_ARGS__)
#define BPF_URETPROBE(name, ...) BPF_KRETPROBE(name, ##__VA_ARGS__)

#endif /* CASEMENT_BPF_TRACING_H */
