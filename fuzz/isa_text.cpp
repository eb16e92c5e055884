// SPDX-License-Identifier: MIT
// Assembly in both dialects: what assembles disassembles to text that assembles to the same bytes.
#include <cstdlib>

#include "isa/text/text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ebpf;
    using namespace ebpf::isa::text;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const Dialect dialect : {Dialect::Llvm, Dialect::Conformance}) {
        const auto slots = assemble(text, dialect);
        if (!slots) continue;
        for (const Dialect other : {Dialect::Llvm, Dialect::Conformance}) {
            const auto listing = disassemble(*slots, other);
            if (!listing) std::abort();
            const auto again = assemble(*listing, other);
            if (!again || *again != *slots) std::abort();
        }
    }
    return 0;
}
