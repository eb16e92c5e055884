/* SPDX-License-Identifier: MIT */
/* Context and helpers of the test extension: SEC("sample_ext"). */
#ifndef CASEMENT_SAMPLE_EXT_HELPERS_H
#define CASEMENT_SAMPLE_EXT_HELPERS_H

#include "bpf_helpers_platform.h"

typedef struct _sample_program_context {
    uint8_t* data_start;
    uint8_t* data_end;
    uint32_t uint32_data;
    uint16_t uint16_data;
    uint32_t helper_data_1;
    uint32_t helper_data_2;
} sample_program_context_t;

#include "sample_ext_helpers_defs.h"

#endif /* CASEMENT_SAMPLE_EXT_HELPERS_H */
