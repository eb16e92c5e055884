// SPDX-License-Identifier: MIT
// Byte code as a program: targets and subprograms; what decodes is written back as the same bytes.
#include <algorithm>
#include <cstdlib>

#include "ir/program.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ebpf;
    const Bytes slots = std::as_bytes(std::span(data, size));
    const Result<ir::Program> program = ir::decode_program(slots);
    if (!program) return 0;
    for (u32 i = 0; i < program->insns.size(); ++i) {
        const u32 target = program->target[i];
        if (target != ir::kNoTarget && target >= program->insns.size()) std::abort();
        if (program->subprogram_at(i) >= program->subprograms.size()) std::abort();
    }
    const Result<std::vector<std::byte>> again = ir::encode_program(*program);
    if (!again || !std::ranges::equal(*again, slots)) std::abort();
    return 0;
}
