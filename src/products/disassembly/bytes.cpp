// SPDX-License-Identifier: MIT
// Without a disassembler: what is shown are bytes, sixteen a line.
#include <algorithm>

#include "products/disassembly/disassembly.hpp"

namespace ebpf::products {

MachineInsn machine_insn(code::Cpu, Bytes code, u64, Syntax) {
    return {std::min<std::size_t>(16, code.size()), {}};
}

}  // namespace ebpf::products
