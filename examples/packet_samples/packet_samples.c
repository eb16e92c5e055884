// SPDX-License-Identifier: MIT
//
//     packet_samples OBJECT CAPTURE
//
// Loads packet_samples.bpf.o, feeds it a capture and prints the beginnings of the first packets.
#include "packet_samples.h"

#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <stdio.h>
#include <string.h>

struct counts {
    unsigned long long samples, lost;
};

static void print_sample(void* ctx, int cpu, void* data, __u32 size) {
    struct counts* counts = ctx;
    struct packet_sample sample;
    const unsigned char* bytes = (const unsigned char*)data + sizeof sample;
    if (size < sizeof sample) return;
    memcpy(&sample, data, sizeof sample);
    if (sample.captured > size - sizeof sample) return;
    if (++counts->samples > 5) return;
    printf("  cpu %d: %4u bytes:", cpu, sample.length);
    for (__u32 i = 0; i < sample.captured; ++i) printf(" %02x", bytes[i]);
    printf("\n");
}

static void count_lost(void* ctx, int cpu, __u64 count) {
    struct counts* counts = ctx;
    (void)cpu;
    counts->lost += count;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s OBJECT CAPTURE\n", argv[0]);
        return 2;
    }
    int status = 1;
    struct counts counts = {0, 0};
    struct perf_buffer* buffer = NULL;
    struct bpf_link* link = NULL;
    struct ebpf_capture* capture = NULL;
    struct ebpf_replay_result result;

    struct bpf_object* object = bpf_object__open(argv[1]);
    if (!object) {
        perror(argv[1]);
        return 1;
    }
    if (bpf_object__load(object)) goto out;  // the library has said why

    link = bpf_program__attach_xdp(bpf_object__find_program_by_name(object, "packet_samples"), 1);
    buffer = perf_buffer__new(bpf_object__find_map_fd_by_name(object, "samples"), 64, print_sample,
                              count_lost, &counts, NULL);
    capture = ebpf_capture__open(argv[2]);
    if (!link || !buffer || !capture || ebpf_capture__replay(capture, 1, NULL, &result)) {
        perror("packet_samples");
        goto out;
    }
    // Nobody read while the capture was replayed: what the rings had no room for is lost.
    if (perf_buffer__consume(buffer) == 0) status = 0;
    printf("%llu samples, %llu lost\n", counts.samples, counts.lost);
out:
    ebpf_capture__close(capture);
    perf_buffer__free(buffer);
    bpf_link__destroy(link);
    bpf_object__close(object);
    return status;
}
