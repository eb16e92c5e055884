// SPDX-License-Identifier: MIT
// As programs were written before type information: records in `maps`, no -g.
#include "bpf.h"

struct sk_buff_context {
    u32 length;
};

struct map_definition {
    u32 type, key_size, value_size, max_entries, flags;
};

struct map_definition SEC("maps") first_map = {MAP_HASH, 4, 8, 100, 1};
struct map_definition SEC("maps") second_map = {MAP_ARRAY, 4, 16, 5, 0};

// Beside its programs, with the record of the kernel's samples; and a section that only ends like
// one.
struct sample_map_definition {
    u32 type, key_size, value_size, max_entries, flags, inner, numa_node;
};
struct sample_map_definition SEC("lirc_mode2/maps") decoder_map = {MAP_HASH, 4, 16, 1};
u32 SEC("road/maps") not_maps = 7;

static u32 state;
static const volatile u32 constant = 3;

SEC("socket/a")
int one(struct sk_buff_context* context) {
    u32 key = context->length;
    u64 value = ktime_get_ns() + constant;
    state++;
    return map_update(&first_map, &key, &value, 0);
}

SEC("socket/b")
int two(struct sk_buff_context* context) {
    u32 key = 1;
    return map_lookup(&second_map, &key) != 0;
}

SEC("lirc_mode2/decoder")
int decode(u32* sample) {
    return map_lookup(&decoder_map, sample) != 0;
}

char license_text[] SEC("license") = "GPL";
u32 kernel_version SEC("version") = 0x40900;
