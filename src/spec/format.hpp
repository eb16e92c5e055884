// SPDX-License-Identifier: MIT
//
// The formats that programs print with: what conversions there are and how they are written. The
// verifier reads a format by this where it is a constant, the runtime when it makes the text.
//
// Linux' (Documentation/core-api/printk-formats.rst; what bpf_trace_printk, bpf_snprintf and their
// kin take of it): %d %i %u %x %X with l and ll, %c, %s %pks %pus, %p %px %pK, %ps %pS %pB, %pI4
// %pi4 %pI6 %pi6, %%, each with the flags 0 + - and blank and a width. Every other character may
// be anything (UTF-8) but one of ASCII that is neither printable nor a blank.
//
// eBPF for Windows': %d %i %u %x with l and ll, %%; any other character.
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "spec/dialect.hpp"

namespace ebpf::spec {

inline constexpr u32 kMaxFormatWidth = (1 << 23) - 1;

// How a value is written.
struct Conversion {
    bool zeros = false, plus = false, left = false, blank = false;
    bool has_width = false;
    u32 width = 0;     // at most kMaxFormatWidth
    u32 bytes = 4;     // of a number
    char letter = 0;   // d i u x X c s p
    char pointer = 0;  // of p: the letter behind it, 0 if none; k and u: a text
    char family = 0;   // of pi and pI: 4 or 6
};

// Characters that stand for themselves, then a value unless they are the last.
struct FormatPiece {
    std::string_view plain;
    bool converts = false;
    Conversion conversion;
};

// Reads a format, without its NUL, piece by piece. IRQL: any.
class FormatReader {
  public:
    FormatReader(Dialect dialect, std::string_view format) : dialect_(dialect), format_(format) {}

    bool at_end() const { return at_ == format_.size(); }
    // InvalidArgument, at the character that may not be there: it, or the conversion, is unknown.
    Result<FormatPiece> next();

  private:
    char peek(std::size_t ahead = 0) const;  // NUL at the end
    Status read_conversion(Conversion& c);
    void read_flags(Conversion& c);
    Status read_pointer(Conversion& c);
    Status read_number(Conversion& c);
    Status need_end_of_word() const;
    std::unexpected<Error> invalid() const;

    Dialect dialect_;
    std::string_view format_;
    std::size_t at_ = 0;
};

// How many values the format asks for. The reader's errors.
Result<u32> count_conversions(Dialect dialect, std::string_view format);

}  // namespace ebpf::spec
