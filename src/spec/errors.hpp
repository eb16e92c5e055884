// SPDX-License-Identifier: MIT
// What the dialects report for an Errc: the columns of base/errors.def and results.def.
#pragma once

#include "base/error.hpp"
#include "spec/dialect.hpp"

namespace ebpf::spec {

// Linux's errno (asm-generic numbers), positive; 0 for Ok.
i32 linux_errno(Errc code);

// eBPF for Windows' ebpf_result_t.
u32 result(Errc code);

// What the Windows driver returns.
u32 ntstatus(Errc code);

// What a helper returns to its program: 0 for Ok, else -errno on Linux, -ebpf_result_t in eBPF for
// Windows.
i64 helper_return(Dialect dialect, Errc code);

inline constexpr u32 kResultCount = 35;

// "EBPF_KEY_NOT_FOUND"; null for a number that is not an ebpf_result_t.
const char* result_name(u32 result);

// The errno that eBPF for Windows' libbpf-style functions set for an ebpf_result_t, with the
// numbers of Windows' C library (EOTHER 131 where nothing fits, also for an unknown result).
i32 windows_errno(u32 result);

// The Errc that stands for an ebpf_result_t; Failed for an unknown one.
Errc errc_from_result(u32 result);

}  // namespace ebpf::spec
