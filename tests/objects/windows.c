// SPDX-License-Identifier: MIT
// For eBPF for Windows: its sections, its context's type, its record of maps.
#include "bpf.h"

struct _bind_md {
    u64 app_id_start, app_id_end, process_id;
    u8 address[16];
    u8 address_length, operation, protocol;
};

struct map_record {
    u32 type, key_size, value_size, max_entries, inner_map_index, pinning, id, inner_id;
};

// Windows' numbers: 6 hash of maps, 13 ring buffer.
struct map_record SEC("maps") processes = {1, 8, 4, 64, 0, 0, 10, 0};
struct map_record SEC("maps") by_id = {6, 4, 4, 8, 0, 1, 11, 10};
struct map_record SEC("maps") ring = {13, 0, 0, 65536, 0, 0, 12, 0};

SEC("bind")
int on_bind(struct _bind_md* context) {
    u64 key = context->process_id;
    u32* found = map_lookup(&processes, &key);
    return found != 0 && *found > 2;
}

char license_text[] SEC("license") = "MIT";
