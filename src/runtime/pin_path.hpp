// SPDX-License-Identifier: MIT
//
// Paths of pins. A pin is a name of the execution context, not a file; both dialects name the same
// pins, each in its own way: Linux's "/a/b" is "BPF:\a\b" in eBPF for Windows. Pins keeps the
// former.
#pragma once

#include <span>
#include <string_view>

#include "base/error.hpp"
#include "runtime/object.hpp"
#include "spec/dialect.hpp"

namespace ebpf::runtime {

// A path of an application under its dialect's rules. On Linux it is taken as it stands. On Windows
// either slash parts the names, case counts, "." and ".." mean what they usually do, what is
// relative begins at the root, and "BPF:" or "\ebpf\global\" before it (in any case) say nothing.
class PinPath {
  public:
    // InvalidPointer: null; ObjectNotFound: empty; NameTooLong; InvalidArgument: a colon, or ".."
    // above the root.
    Status read(spec::Dialect dialect, const char* text);
    // As Pins keeps it.
    std::string_view view() const { return view_; }

  private:
    Status read_windows(std::string_view text);
    Status append(std::string_view name);

    static constexpr u32 kMaxWindows = 256;  // of the form that begins with "BPF:", and its NUL
    std::string_view view_;
    char bytes_[kMaxWindows];
    u32 size_ = 0;
};

// Pins::next() in a dialect's spelling.
Result<ObjectKind> next_pin(Pins& pins, spec::Dialect dialect, std::string_view start,
                            const ObjectKind* kind, std::span<char> out);

}  // namespace ebpf::runtime
