// SPDX-License-Identifier: MIT
#pragma once

#include "base/error.hpp"

namespace ebpf::platform {

// Calls a function at a time. It knows one time only: who has several sets it for the first of
// them. In the Windows kernel a timer object and its deferred procedure call, in a process a thread
// or a timer of the system's pool.
class Alarm {
  public:
    // `ring(self)` runs at DISPATCH in the Windows kernel, on a thread of its own at PASSIVE
    // elsewhere; on Windows perhaps several at once. NoMemory, Failed. PASSIVE.
    Status open(void (*ring)(void* self), void* self);
    bool is_open() const { return state_ != nullptr; }
    // Rings once at `due`, a time of monotonic_ns(), or at once when that is past; instead of what
    // was set before. The alarm is open. <= DISPATCH.
    void set(u64 due);
    // Afterwards nothing rings or is still ringing; set() may not be called meanwhile. Does nothing
    // to an alarm that is not open. PASSIVE.
    void close();

  private:
    void* state_ = nullptr;
};

}  // namespace ebpf::platform
