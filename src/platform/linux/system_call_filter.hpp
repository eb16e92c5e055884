// SPDX-License-Identifier: MIT
// Which system calls the processes of platform/sandbox.hpp may make; any other ends the process.
#pragma once

#include "base/error.hpp"

namespace ebpf::platform {

enum class Filter : u8 {
    Zygote,  // forks workers, and is told to over `descriptor`
    Worker,  // reads and writes `descriptor`, and computes
};

// For the calling thread and what it starts, for ever; filters add up. Needs no_new_privs. Failed
// with errno when the kernel has no filters.
Status install_filter(Filter filter, i32 descriptor);

}  // namespace ebpf::platform
