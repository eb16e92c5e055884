/* SPDX-License-Identifier: MIT */
/* Map definitions, and the numbers of map types, program types, attach types, helpers and results.
 */
#ifndef CASEMENT_EBPF_STRUCTS_H
#define CASEMENT_EBPF_STRUCTS_H

#include "bpf_helpers_platform.h"
#include "ebpf_ids.h"

#define MAX_TAIL_CALL_CNT 33
#define BPF_OBJ_NAME_LEN 64

#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_EXIST 2
typedef enum ebpf_map_option {
    EBPF_ANY = BPF_ANY,
    EBPF_NOEXIST = BPF_NOEXIST,
    EBPF_EXIST = BPF_EXIST,
} ebpf_map_option_t;

typedef enum ebpf_pin_type { LIBBPF_PIN_NONE = 0, LIBBPF_PIN_BY_NAME = 1 } ebpf_pin_type_t;

/* Flags of ring buffers and of bpf_perf_event_output(). */
#define BPF_RB_NO_WAKEUP (1ull << 0)
#define BPF_RB_FORCE_WAKEUP (1ull << 1)
#define EBPF_MAP_FLAG_CURRENT_CPU 0xffffffffull
#define EBPF_MAP_FLAG_CTX_LENGTH_SHIFT 32
#define EBPF_MAP_FLAG_CTX_LENGTH_MASK (0xfffffull << EBPF_MAP_FLAG_CTX_LENGTH_SHIFT)
#define BPF_F_INDEX_MASK 0xffffffffull
#define BPF_F_CURRENT_CPU BPF_F_INDEX_MASK
#define BPF_F_CTXLEN_MASK (0xfffffull << 32)

typedef uint32_t ebpf_id_t;

/* One record of the section "maps". inner_map_idx counts records; id and inner_id name them
 * instead. */
typedef struct _ebpf_map_definition_in_file {
    ebpf_map_type_t type;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t max_entries;
    uint32_t inner_map_idx;
    ebpf_pin_type_t pinning;
    uint32_t id;
    uint32_t inner_id;
} ebpf_map_definition_in_file_t;

#endif /* CASEMENT_EBPF_STRUCTS_H */
