// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace ebpf::platform {

// Asks the hook of set_allocation_hook(); what gives out memory in another way than allocate() does
// so too, so that tests can make it fail.
bool may_allocate(std::size_t size);

}  // namespace ebpf::platform
