// SPDX-License-Identifier: MIT
// An interpreter's code: the lowered instructions as slots, and what in them has to be resolved.
#pragma once

#include <vector>

#include "code/code.hpp"
#include "ir/program.hpp"

namespace ebpf::engine {

struct Bytecode {
    std::vector<std::byte> text;
    std::vector<code::Relocation> relocations;
};

// `program` is lowered: maps are MapIndex* kinds, helper numbers canonical. Errors: those of
// ir::encode_program; Unsupported for descriptors, BTF ids and kernel functions.
Result<Bytecode> bytecode(const ir::Program& program);

}  // namespace ebpf::engine
