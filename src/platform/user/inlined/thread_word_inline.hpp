// SPDX-License-Identifier: MIT
// Found without a call, also in a shared library.
#pragma once

namespace ebpf::platform {

[[gnu::tls_model("initial-exec")]] extern constinit thread_local ThreadWord this_threads_word;

inline ThreadWord& thread_word() {
    return this_threads_word;
}

}  // namespace ebpf::platform
