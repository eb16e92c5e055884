// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>

#include "api/errors.hpp"
#include "api/session.hpp"
#include "platform/poll_set.hpp"
#include "platform/system.hpp"

namespace ebpf::api {

// Adds the ring behind a descriptor to those that are waited for.
inline Status wait_also_for(int ring, const platform::PollSet& rings) {
    TRY_ASSIGN(const i64 native, session()->descriptors->native(ring));
    return rings.add(native);
}
// For other loops; the system may have none.
inline int descriptor_of(const platform::PollSet& rings) {
    return rings.descriptor() >= 0 ? rings.descriptor() : negative(EOPNOTSUPP);
}

// What ring_buffer__poll() and perf_buffer__poll() do: consume() what is there; if that is nothing,
// wait until one of `rings` is readable and do it again. What it answered, 0 after timeout_ms (-1:
// never), -EINTR when a signal was handled. A negative answer sets errno.
template <typename Consume>
int poll(const platform::PollSet& rings, int timeout_ms, const Consume& consume) {
    const u64 start = platform::monotonic_ns();
    for (;;) {
        const i64 count = consume();
        if (count < 0) return negative(static_cast<int>(-count));
        const auto waited = static_cast<i64>((platform::monotonic_ns() - start) / 1'000'000);
        if (count > 0 || (timeout_ms >= 0 && waited >= timeout_ms)) return static_cast<int>(count);
        const i64 left = timeout_ms < 0 ? -1 : timeout_ms - waited;
        if (rings.wait(static_cast<int>(left)) == platform::PollSet::Outcome::Interrupted) {
            return negative(EINTR);
        }
    }
}

}  // namespace ebpf::api
