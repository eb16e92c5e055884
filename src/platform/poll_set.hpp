// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "base/error.hpp"

namespace ebpf::platform {

// What is waited for together: on Linux descriptors, with epoll(7), on Windows events. User mode.
class PollSet {
  public:
    PollSet(PollSet&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1)),
          state_(std::exchange(other.state_, nullptr)) {}
    PollSet& operator=(PollSet&&) = delete;
    ~PollSet();

    // TooManyDescriptors, NoMemory.
    static Result<PollSet> create();
    // A descriptor, or an event's handle. ObjectAlreadyExists when it is in, InvalidArgument when
    // it cannot be waited for. A descriptor that is closed everywhere leaves the set; an event
    // stays in it.
    Status add(i64 native) const;

    enum class Outcome { Readable, TimeIsOver, Interrupted };
    // Interrupted: a signal was handled. timeout_ms -1: no limit.
    Outcome wait(int timeout_ms) const;

    // Readable while one of them is, for applications that wait for more; -1 on Windows.
    int descriptor() const { return descriptor_; }

  private:
    struct State;
    PollSet() = default;

    int descriptor_ = -1;
    State* state_ = nullptr;  // Windows
};

}  // namespace ebpf::platform
