// SPDX-License-Identifier: MIT
// Questions about a few of Linux's own types, for the comparison with libbpf where a kernel's types
// are at hand.
#include "bpf.h"

#define RELOCATED __attribute__((preserve_access_index))
#define FIELD(access, question) __builtin_preserve_field_info(access, question)
enum { BYTE_OFFSET, BYTE_SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };

struct list_head {
    struct list_head *next, *prev;
} RELOCATED;
struct mm_struct {
    u64 start_stack;  // behind an anonymous structure
} RELOCATED;
struct task_struct {
    int pid, tgid;
    char comm[16];
    struct mm_struct* mm;
    struct task_struct* real_parent;
    struct list_head children;
    unsigned in_execve : 1, in_iowait : 1;
} RELOCATED;
struct task_struct___old {
    long state;  // __state since Linux 5.14
} RELOCATED;
struct task_struct___new {
    unsigned __state;
} RELOCATED;
struct sk_buff {
    unsigned len;
    unsigned char pkt_type : 3, ip_summed : 2;
    unsigned short protocol;
    u32 mark;
} RELOCATED;
struct no_such_struct {
    int member;
} RELOCATED;
enum pid_type { PIDTYPE_PID, PIDTYPE_SID = 77, PIDTYPE_NOWHERE };

static long (*read_kernel)(void* to, u32 size, const void* from) = (void*)113;

static u64 read8(const void* from) {
    u64 value = 0;
    read_kernel(&value, sizeof value, from);
    return value;
}

SEC("raw_tp/sched_switch")
int members(u64* context) {
    struct task_struct* task = (void*)context[1];
    u64 sum = read8(&task->pid) + read8(&task->tgid) + read8(&task->comm[3]);
    sum += read8(&task->real_parent) + read8(&task->children.prev);
    struct mm_struct* mm = (void*)read8(&task->mm);
    return sum + read8(&mm->start_stack);
}

SEC("raw_tp/sched_switch")
int states(u64* context) {
    struct task_struct___new* now = (void*)context[1];
    struct task_struct___old* then = (void*)context[1];
    if (FIELD(now->__state, EXISTS)) return read8(&now->__state);
    return read8(&then->state);
}

SEC("raw_tp/kfree_skb")
int bits(u64* context) {
    struct sk_buff* skb = (void*)context[0];
    struct task_struct* task = (void*)context[0];
    return FIELD(skb->pkt_type, BYTE_OFFSET) + FIELD(skb->pkt_type, BYTE_SIZE) +
           FIELD(skb->pkt_type, LSHIFT) + FIELD(skb->pkt_type, RSHIFT) +
           FIELD(skb->ip_summed, LSHIFT) + FIELD(task->in_iowait, LSHIFT) +
           FIELD(skb->protocol, BYTE_SIZE) + FIELD(skb->mark, SIGNED) +
           FIELD(skb->len, BYTE_OFFSET);
}

SEC("raw_tp/kfree_skb")
int types(u64* context) {
    struct no_such_struct* none = (void*)context[0];
    u64 sum = __builtin_preserve_type_info(*(struct task_struct*)0, 1) +
              __builtin_preserve_type_info(*(struct no_such_struct*)0, 0) +
              __builtin_btf_type_id(*(struct sk_buff*)0, 1) +
              __builtin_preserve_enum_value(*(enum pid_type*)PIDTYPE_SID, 1) +
              __builtin_preserve_enum_value(*(enum pid_type*)PIDTYPE_NOWHERE, 0);
    if (FIELD(none->member, EXISTS)) sum += read8(&none->member);
    return sum;
}

char license_text[] SEC("license") = "GPL";
