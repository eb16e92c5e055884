// SPDX-License-Identifier: MIT
// The test extension's and the system's hooks.
#include "bpf_helpers.h"
#include "ebpf_ntos_hooks.h"
#include "sample_ext_helpers.h"

SEC("sample_ext/0")
int find(sample_program_context_t* ctx) {
    char pattern[4] = "abc";
    char text[8] = "xxabcxx";
    int64_t at = sample_ebpf_extension_find(text, sizeof(text), pattern, 3);
    if (at < 0) return -EBPF_KEY_NOT_FOUND;
    sample_ebpf_extension_replace(text, sizeof(text), at, pattern, 3);
    return sample_ebpf_extension_helper_function1(ctx) + ctx->uint16_data + ctx->helper_data_2;
}

// memory, as expressions: a constant size is no call, another is one.
SEC("sample_ext/1")
int memory(sample_program_context_t* ctx) {
    char one[16];
    char other[16] = "0123456789abcde";
    if (memset(one, 0, sizeof(one)) == 0) return 1;
    if (memcpy(one, other, 8) < 0 || memmove(one + 4, one, 8) < 0) return 2;
    if (memcmp(one, other, 4) != 0 || bpf_memcmp(one, 3, other, 4) >= 0) return 3;
    uint32_t size = ctx->uint16_data & 7;
    if (memcpy(one, other, size) < 0) return 4;
    return bpf_strnlen_s(other, sizeof(other)) + one[ctx->uint16_data & 7];
}

SEC("process")
int started(process_md_t* ctx) {
    uint8_t path[16] = {0};
    if (ctx->operation == PROCESS_OPERATION_DELETE) return ctx->process_exit_code;
    return bpf_process_get_image_path(ctx, path, sizeof(path));
}

SEC("netevent_monitor")
int seen(netevent_event_md_t* ctx) {
    return bpf_netevent_push_event(ctx);
}
