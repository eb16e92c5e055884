// SPDX-License-Identifier: MIT
// By Zydis (libzydis-dev), which reads x86-64.
#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include "products/bpfverify/dump.hpp"

namespace ebpf::bpfverify {

std::string disassembly(code::Cpu cpu, Bytes code, u64 address) {
    std::string text;
    for (std::size_t at = 0; at < code.size();) {
        ZydisDisassembledInstruction insn;
        const bool readable =
            cpu == code::Cpu::X86_64 &&
            ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, address + at,
                                               code.data() + at, code.size() - at, &insn));
        const std::size_t length =
            readable ? insn.info.length : std::min<std::size_t>(4, code.size() - at);
        std::string bytes;
        for (const std::byte b : code.subspan(at, length))
            bytes += fmt::format("{:02x}", static_cast<unsigned>(b));
        text += fmt::format("        {:8x}:  {:<22}{}\n", address + at, bytes,
                            readable ? static_cast<const char*>(insn.text) : "");
        at += length;
    }
    return text;
}

}  // namespace ebpf::bpfverify
