// SPDX-License-Identifier: MIT
//
//     shared_counter OBJECT CAPTURE
//
// Loads shared_counter.bpf.o, feeds it a capture and prints what it counted, each row read under
// its lock.
#include "shared_counter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <stdio.h>

static int print_counters(int map) {
    __u16 key, *previous = NULL;
    struct traffic traffic;
    puts("EtherType     packets         bytes   largest");
    while (bpf_map_get_next_key(map, previous, &key) == 0) {
        if (bpf_map_lookup_elem_flags(map, &key, &traffic, BPF_F_LOCK)) return -1;
        printf("     %04x  %10llu  %12llu  %8u\n", key, (unsigned long long)traffic.packets,
               (unsigned long long)traffic.bytes, traffic.largest);
        previous = &key;
    }
    return 0;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s OBJECT CAPTURE\n", argv[0]);
        return 2;
    }
    int status = 1;
    struct bpf_link* link = NULL;
    struct ebpf_capture* capture = NULL;
    struct ebpf_replay_result result;

    struct bpf_object* object = bpf_object__open(argv[1]);
    if (!object) {
        perror(argv[1]);
        return 1;
    }
    if (bpf_object__load(object)) goto out;  // the library has said why

    link = bpf_program__attach_xdp(bpf_object__find_program_by_name(object, "shared_counter"), 1);
    capture = ebpf_capture__open(argv[2]);
    if (!link || !capture || ebpf_capture__replay(capture, 1, NULL, &result) ||
        print_counters(bpf_object__find_map_fd_by_name(object, "counters"))) {
        perror("shared_counter");
        goto out;
    }
    status = 0;
out:
    ebpf_capture__close(capture);
    bpf_link__destroy(link);
    bpf_object__close(object);
    return status;
}
