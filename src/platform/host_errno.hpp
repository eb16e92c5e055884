// SPDX-License-Identifier: MIT
#pragma once

#include "base/types.hpp"

namespace ebpf::platform {

// What the host's C library calls the error that Linux calls `linux_errno` (both positive). On
// Windows what has no name there is EOTHER; numbers that Linux's user space has none for, and
// libbpf's own, from 512 on, stay as they are. User mode.
i32 host_errno(i32 linux_errno);

}  // namespace ebpf::platform
