// SPDX-License-Identifier: MIT
// An accepted program as the engines see it, below its source lines.
#pragma once

#include <string>

#include "ir/environment.hpp"
#include "ir/facts.hpp"
#include "jit/jit.hpp"

namespace ebpf::bpfverify {

// The program after ir::lower(), each instruction with what the verifier proved of it. Errors:
// those of ir::lower().
Result<std::string> dump_lowered(const ir::Program& program, const ir::Facts& facts,
                                 const ir::Environment& environment);

// ... each with the machine code that `target` gets for it, at the optimising level what that made
// of the program. Instructions that became one sequence stand together. Errors: those of
// ir::lower() and jit::compile().
Result<std::string> dump_machine_code(const ir::Program& program, const ir::Facts& facts,
                                      const ir::Environment& environment, const jit::Target& target,
                                      bool optimise);

// The byte code, what dump_lowered() shows of it, and its machine code: in columns of `width`
// characters together, or below each other if that is less than kColumnsWidth.
inline constexpr u32 kColumnsWidth = 100;
Result<std::string> dump_code(const ir::Program& program, const ir::Facts& facts,
                              const ir::Environment& environment, const jit::Target& target,
                              bool optimise, u32 width);

}  // namespace ebpf::bpfverify
