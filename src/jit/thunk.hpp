// SPDX-License-Identifier: MIT
//
// jit::entry_thunk() by each CPU; the target was checked.
#pragma once

#include <array>
#include <cstring>

#include "jit/jit.hpp"

namespace ebpf::jit {

inline std::array<u64, sizeof(code::Invocation) / 8> words_of(const code::Invocation& invocation) {
    static_assert(sizeof invocation % 8 == 0);
    std::array<u64, sizeof invocation / 8> words;
    std::memcpy(words.data(), &invocation, sizeof invocation);
    return words;
}

namespace x64 {
Result<Thunk> entry_thunk(const code::Invocation& initial, const void* entry, const Target& target);
}
namespace a64 {
Result<Thunk> entry_thunk(const code::Invocation& initial, const void* entry, const Target& target);
}

}  // namespace ebpf::jit
