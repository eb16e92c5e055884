// SPDX-License-Identifier: MIT
#pragma once

#include "base/types.hpp"

namespace ebpf::platform {

// What a PollSet waits for, in the hands of a test: a pipe, or an event on Windows.
class Signal {
  public:
    Signal();
    ~Signal();
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    i64 native() const { return native_; }
    void set();
    void reset();

  private:
    i64 native_;
    i64 other_ = -1;
};

}  // namespace ebpf::platform
