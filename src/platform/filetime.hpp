// SPDX-License-Identifier: MIT
// Time as Windows counts it: in units of 100 ns.
#pragma once

#include "base/types.hpp"

namespace ebpf::platform {

inline constexpr u64 kFrom1601To1970 = 116'444'736'000'000'000;

// How a timer of the system is told of a time of monotonic_ns(): from `now` on, which is negative;
// at once when it is past.
constexpr i64 timer_ticks(u64 due, u64 now) {
    return due > now ? -static_cast<i64>((due - now + 99) / 100) : -1;
}

}  // namespace ebpf::platform
