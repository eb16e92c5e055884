// SPDX-License-Identifier: MIT
// What programs print: formats of both dialects.
#pragma once

#include "base/error.hpp"
#include "spec/dialect.hpp"

namespace ebpf::runtime {

inline constexpr u32 kMaxFormatValues = 12;  // Linux: of bpf_snprintf and bpf_trace_vprintk
inline constexpr u32 kMaxPrintkValues = 3;   // of the registers that bpf_trace_printk gets

// A text that need not have fitted.
struct FormattedText {
    u64 length = 0;   // of the whole text
    u64 written = 0;  // characters that fitted; no NUL is added
};

// What addresses are written with; random, and nobody else's.
struct FormatSecret {
    u64 words[2] = {};
};

// A text by one of Linux' formats (spec/format.hpp). Texts and addresses are read where the value
// says; what cannot be read is empty or zero. An address is written as a number that stands for it,
// except by %px; there are no names of functions.
//
// InvalidArgument: no NUL at the format's end, the reader's errors, fewer values than conversions.
// OutOfSpace: the texts and values need more than 512 bytes. <= DISPATCH.
Result<FormattedText> format_linux(std::string_view format, std::span<const u64> values,
                                   const FormatSecret& secret, std::span<char> out);

// The same of eBPF for Windows: 2 to 511 bytes, of which a NUL ends the text; as many conversions
// as values; a newline at the end goes. InvalidArgument. <= DISPATCH.
Result<FormattedText> format_windows(std::string_view format, std::span<const u64> values,
                                     std::span<char> out);

}  // namespace ebpf::runtime
