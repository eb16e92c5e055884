// SPDX-License-Identifier: MIT
#include "platform/host_errno.hpp"

namespace ebpf::platform {

i32 host_errno(i32 linux_errno) {
    return linux_errno;
}

}  // namespace ebpf::platform
