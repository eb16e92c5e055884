// SPDX-License-Identifier: MIT
//
//     windows_droppacket OBJECT CAPTURE
//
// Loads windows_droppacket.o, which is written for eBPF for Windows, attaches droppacket to the XDP
// hook, feeds it a capture and prints what it counted. The object shows its dialect; the verdicts
// that come back are in the numbers of linux/bpf.h all the same.
#include "droppacket.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <stdio.h>
#include <stdlib.h>

// A per-CPU counter's sum, or -1.
static long long total(struct bpf_map* packets, __u32 counter) {
    const size_t cpus = libbpf_num_possible_cpus();
    __u64* values = calloc(cpus, sizeof *values);
    long long sum = -1;
    if (values && !bpf_map__lookup_elem(packets, &counter, sizeof counter, values,
                                        cpus * sizeof *values, 0)) {
        sum = 0;
        for (size_t i = 0; i < cpus; ++i) sum += (long long)values[i];
    }
    free(values);
    return sum;
}

static void print_senders(struct bpf_map* senders) {
    __u32 address;
    for (__u32* previous = NULL;
         bpf_map__get_next_key(senders, previous, &address, sizeof address) == 0;
         previous = &address) {
        __u64 dropped;
        char text[INET_ADDRSTRLEN];
        if (bpf_map__lookup_elem(senders, &address, sizeof address, &dropped, sizeof dropped, 0))
            continue;
        printf("  from %-15s %8llu\n", inet_ntop(AF_INET, &address, text, sizeof text),
               (unsigned long long)dropped);
    }
}

static int run(struct bpf_object* object, const char* path) {
    if (bpf_object__load(object)) return 1;  // the library has said why

    int status = 1;
    struct bpf_program* program = bpf_object__find_program_by_name(object, "droppacket");
    struct bpf_map* packets = bpf_object__find_map_by_name(object, "packets");
    struct bpf_map* senders = bpf_object__find_map_by_name(object, "senders");
    struct bpf_link* link = program ? bpf_program__attach_xdp(program, 1) : NULL;
    struct ebpf_capture* capture = ebpf_capture__open(path);
    struct ebpf_replay_result result;
    if (!packets || !senders || !link || !capture ||
        ebpf_capture__replay(capture, 1, NULL, &result)) {
        perror("windows_droppacket");
        goto out;
    }

    printf("%llu packets: %llu passed, %llu dropped\n", (unsigned long long)result.packets,
           (unsigned long long)result.verdicts[XDP_PASS],
           (unsigned long long)result.verdicts[XDP_DROP]);
    printf("the program counted %lld passed, %lld dropped\n", total(packets, PACKETS_PASSED),
           total(packets, PACKETS_DROPPED));
    print_senders(senders);
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
