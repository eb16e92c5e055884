// SPDX-License-Identifier: MIT
//
// Small programs around one rule each, with numbers, registers and branches left open: filled in at
// random they are safe or wrong by one realistic mistake. The generator makes programs as they are
// written, in which some mistakes hardly ever occur; these are the mistakes.
#pragma once

#include <string>

#include "ir/program.hpp"

namespace ebpf::verifier::oracle {

std::size_t shape_count();
const char* shape_name(std::size_t shape);
// The assembler text of a shape, filled in.
std::string shape_text(std::size_t shape, u64 seed);
ir::Program shape(std::size_t shape, u64 seed);

}  // namespace ebpf::verifier::oracle
