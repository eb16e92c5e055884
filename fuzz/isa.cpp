// SPDX-License-Identifier: MIT
// Byte code: what decodes encodes to the same bytes again.
#include <cstdlib>
#include <cstring>

#include "isa/codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ebpf;
    const Bytes slots = std::as_bytes(std::span(data, size - size % sizeof(isa::Slot)));
    for (u32 pc = 0; pc < slots.size() / sizeof(isa::Slot);) {
        const Result<isa::Insn> insn = isa::decode(slots, pc);
        if (!insn) {
            ++pc;
            continue;
        }
        isa::Slot again[2] = {};
        if (!isa::encode(*insn, again)) std::abort();
        const u32 count = insn->slots();
        if (std::memcmp(again, slots.data() + pc * sizeof(isa::Slot), count * sizeof(isa::Slot)) !=
            0)
            std::abort();
        pc += count;
    }
    return 0;
}
