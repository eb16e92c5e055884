/* SPDX-License-Identifier: MIT */
/* Names of integers that programs share with Linux. */
#ifndef CASEMENT_BPF_HELPERS_PLATFORM_H
#define CASEMENT_BPF_HELPERS_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int8_t __s8;
typedef int16_t __s16;
typedef int32_t __s32;
typedef int64_t __s64;
typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef uint64_t __u64;
typedef uint16_t __be16;
typedef uint32_t __be32;
typedef uint64_t __be64;
typedef uint32_t __wsum;

#endif /* CASEMENT_BPF_HELPERS_PLATFORM_H */
