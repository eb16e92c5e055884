/* SPDX-License-Identifier: MIT */
/*
 * The commands of bpf(), one function each, as libbpf 1.1 declares them: names, argument order,
 * option structures and their layout are libbpf's, so that a program compiles against either
 * library's headers and links with either library.
 *
 * Conventions of every function here and in libbpf.h: an int result is 0 or a descriptor on
 * success, and the negative error number on failure, with errno set as well; a pointer result is
 * NULL on failure, with errno set. Option structures begin with their size and may be NULL.
 * Functions may be called from any thread; objects of libbpf.h (bpf_object and what belongs to it)
 * by one thread at a time.
 *
 * Descriptors are real ones of the process: close(2), dup(2) and poll(2) work on them, and one that
 * was closed is recognised even when its number is in use again.
 */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbpf_common.h"
#include "libbpf_legacy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The door itself, as syscall(__NR_bpf, ...) takes it, with the system call's error convention: -1
 * and errno. `size` is that of the part of `attr` that the caller knows. Not part of libbpf. */
LIBBPF_API int ebpf_bpf(int command, union bpf_attr* attr, unsigned int size);

/* --- Maps --------------------------------------------------------------------------------------
 */

struct bpf_map_create_opts {
    size_t sz;
    __u32 btf_fd;
    __u32 btf_key_type_id;
    __u32 btf_value_type_id;
    __u32 btf_vmlinux_value_type_id;
    __u32 inner_map_fd;
    __u32 map_flags;
    __u64 map_extra;
    __u32 numa_node;
    __u32 map_ifindex;
};
#define bpf_map_create_opts__last_field map_ifindex

LIBBPF_API int bpf_map_create(enum bpf_map_type map_type, const char* map_name, __u32 key_size,
                              __u32 value_size, __u32 max_entries,
                              const struct bpf_map_create_opts* opts);

LIBBPF_API int bpf_map_update_elem(int fd, const void* key, const void* value, __u64 flags);
LIBBPF_API int bpf_map_lookup_elem(int fd, const void* key, void* value);
LIBBPF_API int bpf_map_lookup_elem_flags(int fd, const void* key, void* value, __u64 flags);
LIBBPF_API int bpf_map_lookup_and_delete_elem(int fd, const void* key, void* value);
LIBBPF_API int bpf_map_lookup_and_delete_elem_flags(int fd, const void* key, void* value,
                                                    __u64 flags);
LIBBPF_API int bpf_map_delete_elem(int fd, const void* key);
LIBBPF_API int bpf_map_delete_elem_flags(int fd, const void* key, __u64 flags);
/* key may be NULL: the first key. -ENOENT after the last one. */
LIBBPF_API int bpf_map_get_next_key(int fd, const void* key, void* next_key);
LIBBPF_API int bpf_map_freeze(int fd);

struct bpf_map_batch_opts {
    size_t sz;
    __u64 elem_flags;
    __u64 flags;
};
#define bpf_map_batch_opts__last_field flags

/* Many elements in one call. *count is the room, or the number of elements given; then how many
 * were dealt with, also on failure. A lookup starts at in_batch (NULL: at the first element) and
 * writes to out_batch, of at least 4 bytes, where the next one goes on; -ENOENT when it came to the
 * end, and then *count elements were found all the same. -ENOSPC when a map with keys of more than
 * 4 bytes has more elements than *count: such a map is looked up in one batch. */
LIBBPF_API int bpf_map_delete_batch(int fd, const void* keys, __u32* count,
                                    const struct bpf_map_batch_opts* opts);
LIBBPF_API int bpf_map_lookup_batch(int fd, void* in_batch, void* out_batch, void* keys,
                                    void* values, __u32* count,
                                    const struct bpf_map_batch_opts* opts);
LIBBPF_API int bpf_map_lookup_and_delete_batch(int fd, void* in_batch, void* out_batch, void* keys,
                                               void* values, __u32* count,
                                               const struct bpf_map_batch_opts* opts);
LIBBPF_API int bpf_map_update_batch(int fd, const void* keys, const void* values, __u32* count,
                                    const struct bpf_map_batch_opts* opts);

/* --- Programs ----------------------------------------------------------------------------------
 */

struct bpf_prog_load_opts {
    size_t sz;
    int attempts;
    enum bpf_attach_type expected_attach_type;
    __u32 prog_btf_fd;
    __u32 prog_flags;
    __u32 prog_ifindex;
    __u32 kern_version;
    __u32 attach_btf_id;
    __u32 attach_prog_fd;
    __u32 attach_btf_obj_fd;
    const int* fd_array;
    const void* func_info;
    __u32 func_info_cnt;
    __u32 func_info_rec_size;
    const void* line_info;
    __u32 line_info_cnt;
    __u32 line_info_rec_size;
    __u32 log_level;
    __u32 log_size;
    char* log_buf;
};
#define bpf_prog_load_opts__last_field log_buf

/* Verifies and compiles; -EACCES when the program is not proven safe, and log_buf says why. */
LIBBPF_API int bpf_prog_load(enum bpf_prog_type prog_type, const char* prog_name,
                             const char* license, const struct bpf_insn* insns, size_t insn_cnt,
                             const struct bpf_prog_load_opts* opts);

#define BPF_LOG_BUF_SIZE (UINT32_MAX >> 8)

struct bpf_test_run_opts {
    size_t sz;
    const void* data_in;
    void* data_out;
    __u32 data_size_in;
    __u32 data_size_out; /* in: room in data_out; out: bytes of the packet afterwards */
    const void* ctx_in;
    void* ctx_out;
    __u32 ctx_size_in;
    __u32 ctx_size_out;
    __u32 retval; /* out */
    int repeat;
    __u32 duration; /* out: nanoseconds, average of one run */
    __u32 flags;
    __u32 cpu;
    __u32 batch_size;
};
#define bpf_test_run_opts__last_field batch_size

LIBBPF_API int bpf_prog_test_run_opts(int prog_fd, struct bpf_test_run_opts* opts);

/* --- Type information --------------------------------------------------------------------------
 */

struct bpf_btf_load_opts {
    size_t sz;
    char* log_buf;
    __u32 log_level; /* 0: log_buf is filled only when the load fails */
    __u32 log_size;
};
#define bpf_btf_load_opts__last_field log_size

/* Copies and checks the content of a .BTF section; a descriptor of it for bpf_map_create() and
 * bpf_prog_load(). */
LIBBPF_API int bpf_btf_load(const void* btf_data, size_t btf_size,
                            const struct bpf_btf_load_opts* opts);

/* --- Pins and ids ------------------------------------------------------------------------------
 */

struct bpf_obj_get_opts {
    size_t sz;
    __u32 file_flags;
    size_t : 0;
};
#define bpf_obj_get_opts__last_field file_flags

LIBBPF_API int bpf_obj_pin(int fd, const char* pathname);
LIBBPF_API int bpf_obj_get(const char* pathname);
LIBBPF_API int bpf_obj_get_opts(const char* pathname, const struct bpf_obj_get_opts* opts);

LIBBPF_API int bpf_prog_get_next_id(__u32 start_id, __u32* next_id);
LIBBPF_API int bpf_map_get_next_id(__u32 start_id, __u32* next_id);
LIBBPF_API int bpf_btf_get_next_id(__u32 start_id, __u32* next_id);
LIBBPF_API int bpf_link_get_next_id(__u32 start_id, __u32* next_id);
LIBBPF_API int bpf_prog_get_fd_by_id(__u32 id);
LIBBPF_API int bpf_map_get_fd_by_id(__u32 id);
LIBBPF_API int bpf_link_get_fd_by_id(__u32 id);
LIBBPF_API int bpf_btf_get_fd_by_id(__u32 id);

/* Fills a struct bpf_prog_info, bpf_map_info or bpf_link_info; *info_len is the room, then the
 * size. */
LIBBPF_API int bpf_obj_get_info_by_fd(int bpf_fd, void* info, __u32* info_len);

/* Programs' runs are counted and timed (run_cnt and run_time_ns of their information) as long as
 * the descriptor that this returns is open. `type` is BPF_STATS_RUN_TIME. */
LIBBPF_API int bpf_enable_stats(enum bpf_stats_type type);

/* --- Links -------------------------------------------------------------------------------------
 */

struct bpf_link_create_opts {
    size_t sz;
    __u32 flags;
    union bpf_iter_link_info* iter_info;
    __u32 iter_info_len;
    __u32 target_btf_id;
    union {
        struct {
            __u64 bpf_cookie;
        } perf_event;
        struct {
            __u32 flags;
            __u32 cnt;
            const char** syms;
            const unsigned long* addrs;
            const __u64* cookies;
        } kprobe_multi;
        struct {
            __u64 cookie;
        } tracing;
    };
    size_t : 0;
};
#define bpf_link_create_opts__last_field kprobe_multi.cookies

/* For XDP, target_fd is the interface's index. */
LIBBPF_API int bpf_link_create(int prog_fd, int target_fd, enum bpf_attach_type attach_type,
                               const struct bpf_link_create_opts* opts);
LIBBPF_API int bpf_link_detach(int link_fd);

struct bpf_link_update_opts {
    size_t sz;
    __u32 flags;
    __u32 old_prog_fd;
};
#define bpf_link_update_opts__last_field old_prog_fd

LIBBPF_API int bpf_link_update(int link_fd, int new_prog_fd,
                               const struct bpf_link_update_opts* opts);

#ifdef __cplusplus
}
#endif
