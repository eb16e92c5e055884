// SPDX-License-Identifier: MIT
//
//     drop_empty_udp OBJECT CAPTURE
//
// Loads drop_empty_udp.bpf.o, attaches it to the XDP hook, feeds it a capture and prints what it
// counted. All but the feeding is plain libbpf.
#include "count.h"

#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <stdio.h>

static int run(struct bpf_object* object, const char* path) {
    if (bpf_object__load(object)) return 1;  // the library has said why

    int status = 1;
    struct bpf_program* program = bpf_object__find_program_by_name(object, "drop_empty_udp");
    struct bpf_map* counts = bpf_object__find_map_by_name(object, "counts");
    struct bpf_link* link = program ? bpf_program__attach_xdp(program, 1) : NULL;
    struct ebpf_capture* capture = ebpf_capture__open(path);
    struct ebpf_replay_result result;
    if (!counts || !link || !capture || ebpf_capture__replay(capture, 1, NULL, &result)) {
        perror("drop_empty_udp");
        goto out;
    }

    printf("%llu packets: %llu passed, %llu dropped\n", (unsigned long long)result.packets,
           (unsigned long long)result.verdicts[XDP_PASS],
           (unsigned long long)result.verdicts[XDP_DROP]);
    __u32 key;
    for (__u32* previous = NULL; bpf_map__get_next_key(counts, previous, &key, sizeof key) == 0;
         previous = &key) {
        struct counters value;
        if (bpf_map__lookup_elem(counts, &key, sizeof key, &value, sizeof value, 0)) continue;
        printf("  protocol %5x: %8llu passed %8llu dropped\n", key,
               (unsigned long long)value.passed, (unsigned long long)value.dropped);
    }
    status = 0;
out:
    ebpf_capture__close(capture);
    bpf_link__destroy(link);
    return status;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s OBJECT CAPTURE\n", argv[0]);
        return 2;
    }
    struct bpf_object* object = bpf_object__open(argv[1]);
    if (!object) {
        perror(argv[1]);
        return 1;
    }
    const int status = run(object, argv[2]);
    bpf_object__close(object);
    return status;
}
