// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "jit/analysis.hpp"
#include "jit/jit.hpp"

namespace ebpf::jit::x64 {

// Per function, registers from kSpare on that are free in all of its code, for what lives in them
// between its instructions. None in a function that calls: a callee may use them for itself.
std::vector<RegSet> spare_registers(const ir::Program& program, const Analysis& analysis,
                                    const Target& target, const Options& options);

}  // namespace ebpf::jit::x64
