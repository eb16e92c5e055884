// SPDX-License-Identifier: MIT
// Deterministic damage to an object file: the same bytes and number give the same result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace robustness {

struct Damaged {
    std::vector<std::byte> bytes;
    std::string what;  // e.g. "flip 3 bits"
};

Damaged damage(const std::vector<std::byte>& sound, std::uint64_t number);

}  // namespace robustness
