// SPDX-License-Identifier: MIT
#include <Zydis/Zydis.h>

#include <algorithm>

#include "products/disassembly/disassembly.hpp"

namespace ebpf::products {

MachineInsn machine_insn(code::Cpu cpu, Bytes code, u64 address, Syntax syntax) {
    const auto disassemble =
        syntax == Syntax::Intel ? &ZydisDisassembleIntel : &ZydisDisassembleATT;
    ZydisDisassembledInstruction insn;
    if (cpu == code::Cpu::X86_64 && ZYAN_SUCCESS(disassemble(ZYDIS_MACHINE_MODE_LONG_64, address,
                                                             code.data(), code.size(), &insn))) {
        return {insn.info.length, insn.text};
    }
    return {std::min<std::size_t>(4, code.size()), {}};
}

}  // namespace ebpf::products
