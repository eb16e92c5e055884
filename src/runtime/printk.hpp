// SPDX-License-Identifier: MIT
#pragma once

#include "base/types.hpp"
#include "spec/dialect.hpp"

namespace ebpf::runtime {

// Formats what a program prints into `out` and returns the number of characters, or -1 when the
// format is not one of the dialect's: unknown conversions, no NUL at the end (Linux), another
// number of values than conversions (eBPF for Windows), more than three values (Linux).
// Conversions: %d %i %u %x %X %c %p, with l, ll, h and hh, and %%.
// `most_values` is for Linux.
i64 format_printk(spec::Dialect dialect, std::string_view format, std::span<const u64> values,
                  std::span<char> out, u32 most_values = 3);

inline constexpr u32 kMaxFormatValues = 12;  // Linux: of bpf_snprintf and bpf_trace_vprintk

// The same for bpf_snprintf: returns how many characters the whole text has, of which as many as
// fit were written.
i64 format_text(std::string_view format, std::span<const u64> values, std::span<char> out);

}  // namespace ebpf::runtime
