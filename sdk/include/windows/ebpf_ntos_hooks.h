/* SPDX-License-Identifier: MIT */
/* Contexts and helpers of the system's hooks: processes and network events. */
#ifndef CASEMENT_EBPF_NTOS_HOOKS_H
#define CASEMENT_EBPF_NTOS_HOOKS_H

#include "bpf_helpers_platform.h"

typedef enum _process_operation {
    PROCESS_OPERATION_CREATE,
    PROCESS_OPERATION_DELETE
} process_operation_t;

typedef struct _process_md {
    uint8_t* command_start; /* command line, UTF-16 */
    uint8_t* command_end;
    uint64_t process_id;
    uint64_t parent_process_id;
    uint64_t creating_process_id;
    uint64_t creating_thread_id;
    uint64_t creation_time;
    uint64_t exit_time;
    uint32_t process_exit_code;
    process_operation_t operation : 8;
} process_md_t;

typedef int process_hook_t(process_md_t* context);

typedef struct _netevent_event_md {
    uint8_t* data_meta;
    uint8_t* data;
    uint8_t* data_end;
} netevent_event_md_t;

typedef int netevent_event_hook_t(netevent_event_md_t* context);

#include "ebpf_ntos_hooks_defs.h"

#endif /* CASEMENT_EBPF_NTOS_HOOKS_H */
