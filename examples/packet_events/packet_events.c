// SPDX-License-Identifier: MIT
//
//     packet_events OBJECT CAPTURE
//
// Loads packet_events.bpf.o, feeds it a capture and prints the events as they come.
#include "packet_events.h"

#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <stdio.h>
#include <stdlib.h>

static int print_event(void* ctx, void* data, size_t size) {
    const struct packet_event* event = data;
    unsigned* count = ctx;
    if (size < sizeof *event) return 0;
    if (++*count <= 5) {
        printf("  cpu %u: %u bytes, EtherType %04x\n", event->cpu, event->size, event->ether_type);
    }
    return 0;
}

// The sum of a per-CPU counter.
static __u64 packets_of(struct bpf_object* object) {
    const struct bpf_map* map = bpf_object__find_map_by_name(object, "packets");
    const int cpus = libbpf_num_possible_cpus();
    __u64* values = calloc((size_t)cpus, sizeof *values);
    __u32 key = 0;
    __u64 sum = 0;
    if (values && map &&
        bpf_map__lookup_elem(map, &key, sizeof key, values, (size_t)cpus * sizeof *values, 0) ==
            0) {
        for (int i = 0; i < cpus; ++i) sum += values[i];
    }
    free(values);
    return sum;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s OBJECT CAPTURE\n", argv[0]);
        return 2;
    }
    int status = 1;
    unsigned events = 0;
    struct ring_buffer* ring = NULL;
    struct bpf_link* link = NULL;
    struct ebpf_capture* capture = NULL;
    struct ebpf_replay_result result;

    struct bpf_object* object = bpf_object__open(argv[1]);
    if (!object) {
        perror(argv[1]);
        return 1;
    }
    if (bpf_object__load(object)) goto out;  // the library has said why

    link = bpf_program__attach_xdp(bpf_object__find_program_by_name(object, "packet_events"), 1);
    ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "events"), print_event, &events,
                            NULL);
    capture = ebpf_capture__open(argv[2]);
    if (!link || !ring || !capture || ebpf_capture__replay(capture, 1, NULL, &result)) {
        perror("packet_events");
        goto out;
    }
    ring_buffer__consume(ring);
    printf("%u events, %llu packets\n", events, (unsigned long long)packets_of(object));
    status = 0;
out:
    ebpf_capture__close(capture);
    ring_buffer__free(ring);
    bpf_link__destroy(link);
    bpf_object__close(object);
    return status;
}
