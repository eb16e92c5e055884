/* SPDX-License-Identifier: MIT */
/*
 * What the embedded shape offers beside libbpf's API: the dialect of objects, the choice of the
 * engine, and packets: recorded ones, or those of real interfaces.
 *
 * Conventions are those of bpf/bpf.h: 0 or a negative error number, with errno set as well.
 */
#pragma once

#include <bpf/libbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whose numbers of helpers, map types and verdicts, and whose contexts, a program uses. */
enum ebpf_dialect {
    EBPF_DIALECT_AUTO = 0, /* as the object's sections, types and map records show */
    EBPF_DIALECT_LINUX = 1,
    EBPF_DIALECT_WINDOWS = 2, /* eBPF for Windows */
};

/* bpf_object__open_file() and bpf_object__open_mem(), which find the dialect themselves, for
 * objects that do not show it: those without type information, for instance. */
LIBBPF_API struct bpf_object* ebpf_object__open_file(const char* path, enum ebpf_dialect dialect,
                                                     const struct bpf_object_open_opts* opts);
LIBBPF_API struct bpf_object* ebpf_object__open_mem(const void* bytes, size_t size,
                                                    enum ebpf_dialect dialect,
                                                    const struct bpf_object_open_opts* opts);
/* Of an opened object; never EBPF_DIALECT_AUTO. Numbers that the API gives are Linux's whatever the
 * dialect, e.g. those of bpf_map__type(); only the retval of a test run is the program's own. */
LIBBPF_API enum ebpf_dialect ebpf_object__dialect(const struct bpf_object* object);

enum ebpf_engine {
    EBPF_ENGINE_DEFAULT = 0, /* machine code where this machine has a JIT, else the interpreter */
    EBPF_ENGINE_JIT = 1,
    EBPF_ENGINE_INTERPRETER = 2,
};

/* For the programs of `object` that are not loaded yet. -EOPNOTSUPP when there is no such engine
 * here. */
LIBBPF_API int ebpf_object__set_engine(struct bpf_object* object, enum ebpf_engine engine);

/* --- Captures ----------------------------------------------------------------------------------
 */

/* A capture file (pcap or pcapng, Ethernet), held in memory. */
struct ebpf_capture;

LIBBPF_API struct ebpf_capture* ebpf_capture__open(const char* path);
LIBBPF_API void ebpf_capture__close(struct ebpf_capture* capture);
LIBBPF_API __u32 ebpf_capture__packets(const struct ebpf_capture* capture);

struct ebpf_packet {
    __u32 number;     /* in the capture, from 0 */
    __u32 size;       /* bytes of `data`, as the program left it */
    const void* data; /* valid during the call */
    __u32 verdict;    /* Linux's number, e.g. XDP_DROP, whatever the program's dialect */
};

struct ebpf_replay_opts {
    size_t sz;
    __u32 repeat; /* of the whole capture; 0 means once */
    /* Called after each packet when not NULL; a value other than 0 ends the replay and is its
     * result. */
    int (*on_packet)(void* ctx, const struct ebpf_packet* packet);
    void* ctx;
    size_t : 0;
};
#define ebpf_replay_opts__last_field ctx

struct ebpf_replay_result {
    __u64 packets;
    __u64 bytes;
    __u64 nanoseconds; /* of the whole replay, on_packet included */
    __u64 verdicts[5]; /* XDP_ABORTED .. XDP_REDIRECT */
};

/* Feeds every packet of the capture to the program at `ifindex`; without one, every packet passes.
 */
LIBBPF_API int ebpf_capture__replay(const struct ebpf_capture* capture, int ifindex,
                                    const struct ebpf_replay_opts* opts,
                                    struct ebpf_replay_result* result);

/* --- Live interfaces (Linux) -------------------------------------------------------------------
 *
 * An XDP program is attached to an interface number. As long as live interfaces are not enabled any
 * number will do, nothing of the machine is touched, and the program sees only the packets that the
 * application feeds. Once they are, attaching takes over the real interface of that number: what
 * the program drops does not reach the system, XDP_TX and bpf_redirect() send. It ends when the
 * program is detached or the process ends, however it ends. Needs CAP_NET_ADMIN and CAP_NET_RAW
 * where the interface is, and Linux 5.12; errors of attaching are -ENODEV, -EPERM, -EBUSY (another
 * process filters the interface) and -EOPNOTSUPP; libbpf's print function is told why.
 */

/* From now on for this process; so does the environment variable EBPF_LIVE=1 from its start. What
 * is attached already is not affected. */
LIBBPF_API int ebpf_live__enable(void);

struct ebpf_live_statistics {
    __u64 frames; /* that the program saw, and their bytes */
    __u64 bytes;
    __u64 verdicts[5];     /* XDP_ABORTED .. XDP_REDIRECT */
    __u64 missed;          /* arrived faster than they were taken: dropped */
    __u64 oversized;       /* more than 64 KiB: dropped */
    __u64 pass_failed;     /* passed, but the system did not take them */
    __u64 transmit_failed; /* could not be sent: XDP_TX */
    __u64 redirect_failed; /* could not be sent: XDP_REDIRECT */
};

/* Since the program was attached. `size` is sizeof *statistics. -ENOENT when no program filters the
 * live interface. */
LIBBPF_API int ebpf_live__statistics(int ifindex, struct ebpf_live_statistics* statistics,
                                     size_t size);

#ifdef __cplusplus
}
#endif
