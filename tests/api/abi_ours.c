// SPDX-License-Identifier: MIT
#include <bpf/libbpf.h>
#define TABLE abi_ours
#define COUNT abi_ours_count
#include "abi_table.inc"
