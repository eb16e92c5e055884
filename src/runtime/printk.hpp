// SPDX-License-Identifier: MIT
#pragma once

#include "base/types.hpp"
#include "spec/dialect.hpp"

namespace ebpf::runtime {

// Formats what a program prints into `out` and returns the number of characters, or -1 when the
// format is not one of the dialect's: unknown conversions, no NUL at the end (Linux), another
// number of values than conversions (eBPF for Windows), more than three values (Linux).
// Conversions: %d %i %u %x %X %c %p, with l, ll, h and hh, and %%.
i64 format_printk(spec::Dialect dialect, std::string_view format, std::span<const u64> values,
                  std::span<char> out);

}  // namespace ebpf::runtime
