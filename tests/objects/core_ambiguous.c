// SPDX-License-Identifier: MIT
// A question that core_target.h has two answers to; a loader may refuse the whole object for it.
#include "bpf.h"

struct twin {
    int x;
} __attribute__((preserve_access_index));

SEC("raw_tp/ambiguous")
int ambiguous(struct twin* twin) {
    return twin->x;
}

SEC("raw_tp/certain")
int certain(void* context) {
    return 1;
}

char license_text[] SEC("license") = "GPL";
