// SPDX-License-Identifier: MIT
//
// What a program's dynamic pointer is: 16 bytes of its stack that only helpers look into (the
// verifier sees to that). The memory is the program's for as long as the dynamic pointer can be
// used, which the verifier knows, too.
#pragma once

#include "base/types.hpp"

namespace ebpf::runtime {

struct Dynptr {
    std::byte* data = nullptr;  // null: nothing; every use of it is an error
    u32 size = 0;
    u32 read_only = 0;
};
static_assert(sizeof(Dynptr) == 16);

inline constexpr u64 kMaxDynptrSize = (1 << 24) - 1;  // Linux'

}  // namespace ebpf::runtime
