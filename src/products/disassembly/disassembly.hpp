// SPDX-License-Identifier: MIT
// Machine code as text, for tools: by Zydis (libzydis-dev), which reads x86-64, where this was
// built with it.
#pragma once

#include <string>

#include "code/code.hpp"

namespace ebpf::products {

enum class Syntax : u8 { Intel, Att };

struct MachineInsn {
    std::size_t length = 0;  // in bytes; not 0
    std::string text;        // "mov rax, rbx"; empty when nothing here can read it
};

// The instruction that `code`, which is not empty, begins with and that stands at `address`.
MachineInsn machine_insn(code::Cpu cpu, Bytes code, u64 address, Syntax syntax);

}  // namespace ebpf::products
