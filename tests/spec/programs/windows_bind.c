// SPDX-License-Identifier: MIT
// Binding of ports in the style of eBPF for Windows' samples: BTF maps, a tail call, printing.
#include "bpf_helpers.h"
#include "ebpf_nethooks.h"

typedef struct _entry {
    uint32_t count;
    uint8_t name[64];
} entry_t;

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __type(key, uint64_t);
    __type(value, entry_t);
    __uint(max_entries, 1024);
} processes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __type(key, uint32_t);
    __type(value, uint32_t);
    __uint(max_entries, 2);
} callees SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} events SEC(".maps");

bind_hook_t monitor;

SEC("bind")
bind_action_t monitor(bind_md_t* ctx) {
    bpf_tail_call(ctx, &callees, 0);
    return BIND_DENY;
}

SEC("bind/0")
bind_action_t count(bind_md_t* ctx) {
    uint64_t key = ctx->process_id;
    entry_t zero = {0};
    if (ctx->operation == BIND_OPERATION_UNBIND) {
        bpf_map_delete_elem(&processes, &key);
        return BIND_PERMIT;
    }
    entry_t* entry = bpf_map_lookup_elem(&processes, &key);
    if (!entry) {
        memcpy(zero.name, "new", 4);
        bpf_map_update_elem(&processes, &key, &zero, BPF_NOEXIST);
        bpf_printk("new process");
        bpf_printk("process %u of %u at %u", 1, 2, 3);
        return BIND_PERMIT_SOFT;
    }
    entry->count++;
    bpf_memset(entry->name, sizeof(entry->name), 0);
    bpf_ringbuf_output(&events, ctx->app_id_start, 1, BPF_RB_FORCE_WAKEUP);
    return bpf_get_current_pid_tgid() == 0 ? BIND_PERMIT_HARD : BIND_REDIRECT;
}
