/* SPDX-License-Identifier: MIT */
/*
 * What remains of libbpf's API before 1.0. Functions that return a pointer return NULL and set
 * errno; libbpf_get_error() turns that into the negative number, for code written for both.
 */
#pragma once

#include "libbpf_common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -errno when ptr is NULL (as the function that returned it left it), else 0. */
LIBBPF_API long libbpf_get_error(const void* ptr);

#define DECLARE_LIBBPF_OPTS LIBBPF_OPTS

#ifdef __cplusplus
}
#endif
