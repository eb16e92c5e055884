// SPDX-License-Identifier: MIT
#pragma once

#include "base/types.hpp"

namespace ebpf::runtime {

// Copies the text at `address` of this process, as much as fits, with a NUL behind it: the bytes
// with that NUL, or 0 when a part of it cannot be read. What `out` holds behind the NUL, or after
// 0, is anything. <= DISPATCH.
u64 read_text(u64 address, std::span<char> out);

}  // namespace ebpf::runtime
