// SPDX-License-Identifier: MIT
// Without a disassembler: bytes, sixteen a line.
#include <fmt/format.h>

#include "products/bpfverify/dump.hpp"

namespace ebpf::bpfverify {

std::string disassembly(code::Cpu, Bytes code, u64 address) {
    constexpr std::size_t kPerLine = 16;
    std::string text;
    for (std::size_t at = 0; at < code.size(); at += kPerLine) {
        text += fmt::format("        {:8x}: ", address + at);
        for (const std::byte b : code.subspan(at, std::min(kPerLine, code.size() - at)))
            text += fmt::format(" {:02x}", static_cast<unsigned>(b));
        text += '\n';
    }
    return text;
}

}  // namespace ebpf::bpfverify
