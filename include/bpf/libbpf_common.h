/* SPDX-License-Identifier: MIT */
/* What bpf.h and libbpf.h share. */
#pragma once

#include <string.h>

#include "libbpf_version.h"

#ifndef LIBBPF_API
#define LIBBPF_API __attribute__((visibility("default")))
#endif

/*
 * Declares an options structure with its size set and everything else zero, padding included, and
 * then the given fields assigned, e.g.
 *
 *     LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = size);
 *
 * Padding matters: a library that knows a larger structure takes what lies behind the caller's as
 * zero, and refuses a larger structure of the caller whose unknown part is not zero.
 */
#define LIBBPF_OPTS(TYPE, NAME, ...)                           \
    struct TYPE NAME = ({                                      \
        memset(&NAME, 0, sizeof(NAME));                        \
        (struct TYPE){.sz = sizeof(struct TYPE), __VA_ARGS__}; \
    })
