// SPDX-License-Identifier: MIT
// Tracing in libbpf's style: typed parameters and structures that the loader relocates.
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#define __VMLINUX_H__
struct pt_regs {
    unsigned long di, si, dx, cx, r8, r9, r10, ax, sp, ip, bp;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct mm {
    unsigned long start;
    char name[16];
};
struct task {
    int pid;
    struct mm* mm;
    struct task* parent;
    __u32 flag : 3;
    __s32 level : 5;
};
#pragma clang attribute pop
enum state { STATE_ONE = 1, STATE_TWO = 2 };

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

unsigned long long out[8];
char name[16];

SEC("fentry/one")
int BPF_PROG(on_entry, struct task* task, int count) {
    out[0] = BPF_CORE_READ(task, parent, mm, start);
    out[1] = BPF_CORE_READ(task, pid) + count;
    BPF_CORE_READ_STR_INTO(&name, task, mm, name);
    if (bpf_core_field_exists(task->level)) out[2] = BPF_CORE_READ_BITFIELD_PROBED(task, level);
    if (bpf_core_field_exists(struct task, flag)) out[2] += BPF_CORE_READ_BITFIELD(task, flag);
    out[3] = bpf_core_type_size(struct task) + bpf_core_type_exists(struct mm);
    out[4] = bpf_core_enum_value(enum state, STATE_TWO);
    out[5] = bpf_core_field_offset(struct task, mm) + bpf_core_field_size(struct mm, name);
    return 0;
}

SEC("kprobe/two")
int BPF_KPROBE(on_call, struct task* task, unsigned long flags) {
    struct mm* mm;
    bpf_core_read(&mm, sizeof(mm), &task->mm);
    out[6] = (unsigned long)mm + flags + PT_REGS_IP(ctx);
    return 0;
}

SEC("kretprobe/two")
int BPF_KRETPROBE(on_return, long result) {
    out[7] = result;
    return 0;
}

SEC("iter/task")
int on_task(unsigned long long* ctx) {
    char text[32];
    BPF_SEQ_PRINTF((void*)ctx[0], "%d %d\n", 1, 2);
    return BPF_SNPRINTF(text, sizeof(text), "%d", 7) > 0;
}

char LICENSE[] SEC("license") = "GPL";
