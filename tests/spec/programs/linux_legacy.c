// SPDX-License-Identifier: MIT
// Maps as libbpf before 1.0 had them.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_legacy_maps.h>

struct bpf_map_def SEC("maps") values = {
    .type = BPF_MAP_TYPE_ARRAY,
    .key_size = sizeof(__u32),
    .value_size = sizeof(__u64),
    .max_entries = 4,
};

SEC("socket")
int filter(struct __sk_buff* skb) {
    __u32 key = skb->protocol & 3;
    __u64* value = bpf_map_lookup_elem(&values, &key);
    if (value) *value += skb->len;
    return 0;
}
