// SPDX-License-Identifier: MIT
#pragma once

#include "base/error.hpp"

namespace ebpf::platform {

// Descriptors that are waited for together. It has a descriptor itself, which is readable while one
// of them is, for applications that wait for more. What is closed everywhere leaves the set. User
// mode; Linux for now (epoll(7)).
class PollSet {
  public:
    PollSet(PollSet&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
    PollSet& operator=(PollSet&&) = delete;
    ~PollSet();

    // TooManyDescriptors, NoMemory.
    static Result<PollSet> create();
    // ObjectAlreadyExists when it is in, InvalidArgument when it cannot be waited for.
    Status add(int descriptor) const;

    enum class Outcome { Readable, TimeIsOver, Interrupted };
    // Interrupted: a signal was handled. timeout_ms -1: no limit.
    Outcome wait(int timeout_ms) const;

    int descriptor() const { return descriptor_; }

  private:
    explicit PollSet(int descriptor) : descriptor_(descriptor) {}
    int descriptor_;
};

}  // namespace ebpf::platform
