/* SPDX-License-Identifier: MIT */
/* Map definitions as libbpf before 1.0 had them: struct bpf_map_def SEC("maps") m = { ... }. */
#ifndef CASEMENT_BPF_LEGACY_MAPS_H
#define CASEMENT_BPF_LEGACY_MAPS_H

struct bpf_map_def {
    unsigned int type;
    unsigned int key_size;
    unsigned int value_size;
    unsigned int max_entries;
    unsigned int map_flags;
};

#endif /* CASEMENT_BPF_LEGACY_MAPS_H */
