// SPDX-License-Identifier: MIT
// Compiled against libbpf-dev's headers, where they are installed.
#if __has_include(<bpf/libbpf.h>)
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#define TABLE abi_system
#define COUNT abi_system_count
#include "abi_table.inc"
#else
#include <stddef.h>
struct abi_row {
    const char* what;
    size_t value;
};
const struct abi_row abi_system[] = {{NULL, 0}};
const size_t abi_system_count = 0;
#endif
