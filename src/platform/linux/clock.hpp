// SPDX-License-Identifier: MIT
#pragma once

#include <time.h>

#include "base/types.hpp"

namespace ebpf::platform {

inline u64 clock_ns(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

}  // namespace ebpf::platform
