// SPDX-License-Identifier: MIT
//
// Programs of any size in a few families, each of one shape that makes verifiers slow: their time
// is to grow with the size, not faster. All of them are safe XDP programs.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "ir/program.hpp"

namespace ebpf::bench {

struct Family {
    const char* name;
    const char* what;
    // A program of about `size` instructions; for a bound, a loop of `size` rounds.
    std::string (*text)(u32 size);
    bool size_is_bound = false;
};
std::span<const Family> families();

// `for (i = 0; i < 1000; i++) s++` as clang-19 compiles it for v3: 9 instructions.
std::string countdown_text();

// Assembled, with the maps that the families use; nothing when the text is no program.
std::optional<ir::Program> assemble(const std::string& text);

}  // namespace ebpf::bench
