// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace ebpf::platform {

// Blocks of at least this many bytes may have large pages, which the tables of big maps gain from:
// a random access then misses one cache instead of two.
inline constexpr std::size_t kLargeBlock = std::size_t{4} << 20;
void prefer_large_pages(void* memory, std::size_t size);

// Asks the hook of set_allocation_hook(); what gives out memory in another way than allocate() does
// so too, so that tests can make it fail.
bool may_allocate(std::size_t size);

}  // namespace ebpf::platform
