// SPDX-License-Identifier: MIT
// The processor's.
#pragma once

namespace ebpf::platform {

inline constexpr u32 kMaxProcessors = 2048;  // more than any Windows allows
extern constinit ThreadWord processors_words[kMaxProcessors];

inline ThreadWord& thread_word() {
    return processors_words[current_cpu() % kMaxProcessors];
}

}  // namespace ebpf::platform
