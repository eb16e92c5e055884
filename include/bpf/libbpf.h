/* SPDX-License-Identifier: MIT */
/*
 * Objects, programs, maps, links and ring buffers, as libbpf 1.1 declares them. See bpf.h for the
 * conventions. A function of libbpf that is not declared here does not exist yet: its user does not
 * link, rather than fail at run time.
 */
#pragma once

#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bpf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The library -------------------------------------------------------------------------------
 */

LIBBPF_API __u32 libbpf_major_version(void);
LIBBPF_API __u32 libbpf_minor_version(void);
LIBBPF_API const char* libbpf_version_string(void);

enum libbpf_errno {
    __LIBBPF_ERRNO__START = 4000,
    LIBBPF_ERRNO__LIBELF = __LIBBPF_ERRNO__START, /* the file is not a readable ELF file */
    LIBBPF_ERRNO__FORMAT,                         /* the object's content is malformed */
    LIBBPF_ERRNO__KVERSION,
    LIBBPF_ERRNO__ENDIAN,
    LIBBPF_ERRNO__INTERNAL,
    LIBBPF_ERRNO__RELOC,
    LIBBPF_ERRNO__LOAD,
    LIBBPF_ERRNO__VERIFY,
    LIBBPF_ERRNO__PROG2BIG,
    LIBBPF_ERRNO__KVER,
    LIBBPF_ERRNO__PROGTYPE,
    LIBBPF_ERRNO__WRNGPID,
    LIBBPF_ERRNO__INVSEQ,
    LIBBPF_ERRNO__NLPARSE,
    __LIBBPF_ERRNO__END,
};

/* Text of an error number of either sign; -ERANGE when it was cut. */
LIBBPF_API int libbpf_strerror(int err, char* buf, size_t size);

enum libbpf_print_level { LIBBPF_WARN, LIBBPF_INFO, LIBBPF_DEBUG };
typedef int (*libbpf_print_fn_t)(enum libbpf_print_level level, const char*, va_list ap);
/* Where messages go: stderr (without LIBBPF_DEBUG) at first, nowhere after NULL. Gives the last
 * one. */
LIBBPF_API libbpf_print_fn_t libbpf_set_print(libbpf_print_fn_t fn);

LIBBPF_API int libbpf_num_possible_cpus(void);

/* Names of the enumerators, e.g. "xdp"; NULL when there is none of that number. */
LIBBPF_API const char* libbpf_bpf_attach_type_str(enum bpf_attach_type t);
LIBBPF_API const char* libbpf_bpf_link_type_str(enum bpf_link_type t);
LIBBPF_API const char* libbpf_bpf_map_type_str(enum bpf_map_type t);
LIBBPF_API const char* libbpf_bpf_prog_type_str(enum bpf_prog_type t);
LIBBPF_API int libbpf_prog_type_by_name(const char* name, enum bpf_prog_type* prog_type,
                                        enum bpf_attach_type* expected_attach_type);

/* --- Objects -----------------------------------------------------------------------------------
 */

struct bpf_object;
struct bpf_program;
struct bpf_map;
struct bpf_link;

struct bpf_object_open_opts {
    size_t sz;
    const char* object_name;
    bool relaxed_maps;
    const char* pin_root_path;
    __u32 : 32;
    const char* kconfig;
    const char* btf_custom_path;
    char* kernel_log_buf;
    size_t kernel_log_size;
    __u32 kernel_log_level;
    size_t : 0;
};
#define bpf_object_open_opts__last_field kernel_log_level

LIBBPF_API struct bpf_object* bpf_object__open(const char* path);
LIBBPF_API struct bpf_object* bpf_object__open_file(const char* path,
                                                    const struct bpf_object_open_opts* opts);
LIBBPF_API struct bpf_object* bpf_object__open_mem(const void* obj_buf, size_t obj_buf_sz,
                                                   const struct bpf_object_open_opts* opts);
/* Creates the maps and loads every program whose autoload is set; all or nothing. */
LIBBPF_API int bpf_object__load(struct bpf_object* obj);
LIBBPF_API void bpf_object__close(struct bpf_object* object);
LIBBPF_API const char* bpf_object__name(const struct bpf_object* obj);

/* Pin every map or program of a loaded object below `path`, under its name (in maps' names '.'
 * becomes '_'), or none. Without a path, maps go where their own pin path says. */
LIBBPF_API int bpf_object__pin_maps(struct bpf_object* obj, const char* path);
LIBBPF_API int bpf_object__unpin_maps(struct bpf_object* obj, const char* path);
LIBBPF_API int bpf_object__pin_programs(struct bpf_object* obj, const char* path);
LIBBPF_API int bpf_object__unpin_programs(struct bpf_object* obj, const char* path);
LIBBPF_API int bpf_object__pin(struct bpf_object* object, const char* path);

LIBBPF_API struct bpf_program* bpf_object__find_program_by_name(const struct bpf_object* obj,
                                                                const char* name);
LIBBPF_API struct bpf_program* bpf_object__next_program(const struct bpf_object* obj,
                                                        struct bpf_program* prog);
LIBBPF_API struct bpf_program* bpf_object__prev_program(const struct bpf_object* obj,
                                                        struct bpf_program* prog);
#define bpf_object__for_each_program(pos, obj)                         \
    for ((pos) = bpf_object__next_program((obj), NULL); (pos) != NULL; \
         (pos) = bpf_object__next_program((obj), (pos)))

LIBBPF_API struct bpf_map* bpf_object__find_map_by_name(const struct bpf_object* obj,
                                                        const char* name);
LIBBPF_API int bpf_object__find_map_fd_by_name(const struct bpf_object* obj, const char* name);
LIBBPF_API struct bpf_map* bpf_object__next_map(const struct bpf_object* obj,
                                                const struct bpf_map* map);
LIBBPF_API struct bpf_map* bpf_object__prev_map(const struct bpf_object* obj,
                                                const struct bpf_map* map);
#define bpf_object__for_each_map(pos, obj)                         \
    for ((pos) = bpf_object__next_map((obj), NULL); (pos) != NULL; \
         (pos) = bpf_object__next_map((obj), (pos)))
#define bpf_map__for_each bpf_object__for_each_map

/* --- Programs ----------------------------------------------------------------------------------
 */

LIBBPF_API const char* bpf_program__name(const struct bpf_program* prog);
LIBBPF_API const char* bpf_program__section_name(const struct bpf_program* prog);
LIBBPF_API bool bpf_program__autoload(const struct bpf_program* prog);
LIBBPF_API int bpf_program__set_autoload(struct bpf_program* prog, bool autoload);
LIBBPF_API const struct bpf_insn* bpf_program__insns(const struct bpf_program* prog);
LIBBPF_API size_t bpf_program__insn_cnt(const struct bpf_program* prog);
LIBBPF_API int bpf_program__fd(const struct bpf_program* prog);
LIBBPF_API int bpf_program__pin(struct bpf_program* prog, const char* path);
LIBBPF_API int bpf_program__unpin(struct bpf_program* prog, const char* path);
LIBBPF_API void bpf_program__unload(struct bpf_program* prog);
LIBBPF_API enum bpf_prog_type bpf_program__type(const struct bpf_program* prog);
LIBBPF_API int bpf_program__set_type(struct bpf_program* prog, enum bpf_prog_type type);
LIBBPF_API enum bpf_attach_type bpf_program__expected_attach_type(const struct bpf_program* prog);
LIBBPF_API int bpf_program__set_expected_attach_type(struct bpf_program* prog,
                                                     enum bpf_attach_type type);
LIBBPF_API __u32 bpf_program__log_level(const struct bpf_program* prog);
LIBBPF_API int bpf_program__set_log_level(struct bpf_program* prog, __u32 log_level);
LIBBPF_API const char* bpf_program__log_buf(const struct bpf_program* prog, size_t* log_size);
LIBBPF_API int bpf_program__set_log_buf(struct bpf_program* prog, char* log_buf, size_t log_size);

/* --- Links -------------------------------------------------------------------------------------
 */

LIBBPF_API struct bpf_link* bpf_program__attach(const struct bpf_program* prog);
LIBBPF_API struct bpf_link* bpf_program__attach_xdp(const struct bpf_program* prog, int ifindex);
LIBBPF_API struct bpf_link* bpf_link__open(const char* path);
LIBBPF_API int bpf_link__fd(const struct bpf_link* link);
LIBBPF_API const char* bpf_link__pin_path(const struct bpf_link* link);
LIBBPF_API int bpf_link__pin(struct bpf_link* link, const char* path);
LIBBPF_API int bpf_link__unpin(struct bpf_link* link);
LIBBPF_API int bpf_link__update_program(struct bpf_link* link, struct bpf_program* prog);
/* After it, bpf_link__destroy() leaves the program attached. */
LIBBPF_API void bpf_link__disconnect(struct bpf_link* link);
LIBBPF_API int bpf_link__detach(struct bpf_link* link);
LIBBPF_API int bpf_link__destroy(struct bpf_link* link);

struct bpf_xdp_attach_opts {
    size_t sz;
    int old_prog_fd;
    size_t : 0;
};
#define bpf_xdp_attach_opts__last_field old_prog_fd

struct bpf_xdp_query_opts {
    size_t sz;
    __u32 prog_id;
    __u32 drv_prog_id;
    __u32 hw_prog_id;
    __u32 skb_prog_id;
    __u8 attach_mode;
    size_t : 0;
};
#define bpf_xdp_query_opts__last_field attach_mode

LIBBPF_API int bpf_xdp_attach(int ifindex, int prog_fd, __u32 flags,
                              const struct bpf_xdp_attach_opts* opts);
LIBBPF_API int bpf_xdp_detach(int ifindex, __u32 flags, const struct bpf_xdp_attach_opts* opts);
LIBBPF_API int bpf_xdp_query(int ifindex, int flags, struct bpf_xdp_query_opts* opts);
LIBBPF_API int bpf_xdp_query_id(int ifindex, int flags, __u32* prog_id);

/* --- Maps --------------------------------------------------------------------------------------
 */

LIBBPF_API int bpf_map__fd(const struct bpf_map* map);
LIBBPF_API int bpf_map__reuse_fd(struct bpf_map* map, int fd);
LIBBPF_API const char* bpf_map__name(const struct bpf_map* map);
LIBBPF_API enum bpf_map_type bpf_map__type(const struct bpf_map* map);
LIBBPF_API __u32 bpf_map__max_entries(const struct bpf_map* map);
LIBBPF_API int bpf_map__set_max_entries(struct bpf_map* map, __u32 max_entries);
LIBBPF_API __u32 bpf_map__map_flags(const struct bpf_map* map);
LIBBPF_API int bpf_map__set_map_flags(struct bpf_map* map, __u32 flags);
LIBBPF_API __u32 bpf_map__key_size(const struct bpf_map* map);
LIBBPF_API int bpf_map__set_key_size(struct bpf_map* map, __u32 size);
LIBBPF_API __u32 bpf_map__value_size(const struct bpf_map* map);
LIBBPF_API int bpf_map__set_value_size(struct bpf_map* map, __u32 size);
LIBBPF_API int bpf_map__set_initial_value(struct bpf_map* map, const void* data, size_t size);
LIBBPF_API const void* bpf_map__initial_value(struct bpf_map* map, size_t* psize);
LIBBPF_API bool bpf_map__is_internal(const struct bpf_map* map);
LIBBPF_API int bpf_map__set_pin_path(struct bpf_map* map, const char* path);
LIBBPF_API const char* bpf_map__pin_path(const struct bpf_map* map);
LIBBPF_API bool bpf_map__is_pinned(const struct bpf_map* map);
LIBBPF_API int bpf_map__pin(struct bpf_map* map, const char* path);
LIBBPF_API int bpf_map__unpin(struct bpf_map* map, const char* path);

/* Sizes must be the map's; a per-CPU value is libbpf_num_possible_cpus() values padded to 8 bytes.
 */
LIBBPF_API int bpf_map__lookup_elem(const struct bpf_map* map, const void* key, size_t key_sz,
                                    void* value, size_t value_sz, __u64 flags);
LIBBPF_API int bpf_map__update_elem(const struct bpf_map* map, const void* key, size_t key_sz,
                                    const void* value, size_t value_sz, __u64 flags);
LIBBPF_API int bpf_map__delete_elem(const struct bpf_map* map, const void* key, size_t key_sz,
                                    __u64 flags);
LIBBPF_API int bpf_map__lookup_and_delete_elem(const struct bpf_map* map, const void* key,
                                               size_t key_sz, void* value, size_t value_sz,
                                               __u64 flags);
LIBBPF_API int bpf_map__get_next_key(const struct bpf_map* map, const void* cur_key, void* next_key,
                                     size_t key_sz);

/* --- Ring buffers ------------------------------------------------------------------------------
 */

struct ring_buffer;
typedef int (*ring_buffer_sample_fn)(void* ctx, void* data, size_t size);
struct ring_buffer_opts {
    size_t sz;
};
#define ring_buffer_opts__last_field sz

LIBBPF_API struct ring_buffer* ring_buffer__new(int map_fd, ring_buffer_sample_fn sample_cb,
                                                void* ctx, const struct ring_buffer_opts* opts);
LIBBPF_API void ring_buffer__free(struct ring_buffer* rb);
LIBBPF_API int ring_buffer__add(struct ring_buffer* rb, int map_fd, ring_buffer_sample_fn sample_cb,
                                void* ctx);
/* Number of records handed to the callbacks, or the negative value that one returned; 0 after
 * timeout_ms (-1: never), EINTR when a signal was handled. */
LIBBPF_API int ring_buffer__poll(struct ring_buffer* rb, int timeout_ms);
LIBBPF_API int ring_buffer__consume(struct ring_buffer* rb);
/* Readable while a ring has something that was not consumed yet, for an event loop of the
 * application's own; ring_buffer__consume() then. It is the ring buffer's, and closed with it. */
LIBBPF_API int ring_buffer__epoll_fd(const struct ring_buffer* rb);

/* The other direction: records for programs, which bpf_user_ringbuf_drain() hands out. Reserving is
 * for one thread at a time; what was reserved is submitted or discarded, in any order and by any
 * thread, and drained in the order of reservation. */
struct user_ring_buffer;
struct user_ring_buffer_opts {
    size_t sz;
};
#define user_ring_buffer_opts__last_field sz

LIBBPF_API struct user_ring_buffer* user_ring_buffer__new(int map_fd,
                                                          const struct user_ring_buffer_opts* opts);
/* NULL with errno set: ENOSPC when there is no room now, E2BIG when there never is. The whole ring
 * can be one record. */
LIBBPF_API void* user_ring_buffer__reserve(struct user_ring_buffer* rb, __u32 size);
/* Waits at most timeout_ms (-1: for ever) for programs to drain the ring; then ENOSPC. */
LIBBPF_API void* user_ring_buffer__reserve_blocking(struct user_ring_buffer* rb, __u32 size,
                                                    int timeout_ms);
LIBBPF_API void user_ring_buffer__submit(struct user_ring_buffer* rb, void* sample);
LIBBPF_API void user_ring_buffer__discard(struct user_ring_buffer* rb, void* sample);
LIBBPF_API void user_ring_buffer__free(struct user_ring_buffer* rb);

/* --- Perf buffers ------------------------------------------------------------------------------
 */

struct perf_buffer;
struct perf_event_attr;
struct perf_event_header;
typedef void (*perf_buffer_sample_fn)(void* ctx, int cpu, void* data, __u32 size);
typedef void (*perf_buffer_lost_fn)(void* ctx, int cpu, __u64 cnt);
struct perf_buffer_opts {
    size_t sz;
};
#define perf_buffer_opts__last_field sz

/* `page_cnt` (a power of two) pages for each CPU. The CPUs' rings are put into the map, and taken
 * out again by perf_buffer__free(). NULL with errno set: EINVAL for another map or count. */
LIBBPF_API struct perf_buffer* perf_buffer__new(int map_fd, size_t page_cnt,
                                                perf_buffer_sample_fn sample_cb,
                                                perf_buffer_lost_fn lost_cb, void* ctx,
                                                const struct perf_buffer_opts* opts);

enum bpf_perf_event_ret {
    LIBBPF_PERF_EVENT_DONE = 0,
    LIBBPF_PERF_EVENT_ERROR = -1,
    LIBBPF_PERF_EVENT_CONT = -2,
};
typedef enum bpf_perf_event_ret (*perf_buffer_event_fn)(void* ctx, int cpu,
                                                        struct perf_event_header* event);
struct perf_buffer_raw_opts {
    size_t sz;
    long : 0;
    long : 0;
    int cpu_cnt; /* 0: all; else the CPUs of `cpus`, whose rings stand at `map_keys` */
    int* cpus;
    int* map_keys;
};
#define perf_buffer_raw_opts__last_field map_keys

/* The same with whole records. EOPNOTSUPP for other events than samples that programs write
 * (PERF_COUNT_SW_BPF_OUTPUT with PERF_SAMPLE_RAW), and for keys that are not the CPUs' numbers. */
LIBBPF_API struct perf_buffer* perf_buffer__new_raw(int map_fd, size_t page_cnt,
                                                    struct perf_event_attr* attr,
                                                    perf_buffer_event_fn event_cb, void* ctx,
                                                    const struct perf_buffer_raw_opts* opts);
LIBBPF_API void perf_buffer__free(struct perf_buffer* pb);
/* As ring_buffer__epoll_fd(). */
LIBBPF_API int perf_buffer__epoll_fd(const struct perf_buffer* pb);
/* Number of rings that had something; 0 after timeout_ms (-1: never), negative when a callback
 * ended with an error. */
LIBBPF_API int perf_buffer__poll(struct perf_buffer* pb, int timeout_ms);
LIBBPF_API int perf_buffer__consume(struct perf_buffer* pb);
LIBBPF_API int perf_buffer__consume_buffer(struct perf_buffer* pb, size_t buf_idx);
LIBBPF_API size_t perf_buffer__buffer_cnt(const struct perf_buffer* pb);
/* The descriptor of a ring, which lives as long as `pb`. It is a ring buffer map's. */
LIBBPF_API int perf_buffer__buffer_fd(const struct perf_buffer* pb, size_t buf_idx);

#ifdef __cplusplus
}
#endif
