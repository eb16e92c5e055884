// SPDX-License-Identifier: MIT
#include "differential_parts.hpp"

#include "interpreter/interpreter.hpp"
#include "isa/codec.hpp"
#include "random_program.hpp"

namespace ebpf::engines {

using isa::Form;
using isa::Insn;

namespace {

template <u32 number>
__attribute__((ms_abi)) u64 windows_helper(u64 a, u64 b, u64 c, u64 d, u64 e,
                                           code::Invocation* invocation) {
    return random_helper(number)(a, b, c, d, e, invocation);
}

}  // namespace

u64 helper_address(u32 number, jit::CallingConvention convention) {
    if (convention != jit::CallingConvention::WindowsX64)
        return reinterpret_cast<u64>(random_helper(number));
    switch (number) {
        case kRandomHelper:
            return reinterpret_cast<u64>(windows_helper<kRandomHelper>);
        case kRandomMapStore:
            return reinterpret_cast<u64>(windows_helper<kRandomMapStore>);
        case kRandomMapLoad:
            return reinterpret_cast<u64>(windows_helper<kRandomMapLoad>);
        default:
            return 0;
    }
}

std::vector<std::byte> encoded(std::span<const Insn> insns) {
    std::vector<std::byte> slots;
    for (const Insn& insn : insns) {
        isa::Slot raw[2];
        if (!isa::encode(insn, raw)) return {};
        const Bytes bytes = std::as_bytes(std::span(raw));
        slots.insert(slots.end(), bytes.begin(), bytes.begin() + 8 * insn.slots());
    }
    return slots;
}

void call_custom_helpers(ir::Program& program) {
    for (Insn& insn : program.insns) {
        if (insn.form == Form::Call && insn.call() == isa::CallKind::Helper)
            insn.imm |= code::kCustomHelper;
    }
}

std::optional<Interpreted> Interpreted::prepare(Bytes slots) {
    return prepare(slots, {nullptr, [](void*, code::RelocKind, u32 index, u32) -> Result<u64> {
                               return helper_address(index, jit::CallingConvention::SystemV);
                           }});
}

std::optional<Interpreted> Interpreted::prepare(Bytes slots, const code::Resolver& resolver,
                                                u32 map_count) {
    const auto count = interpreter::relocations_of(slots, {});
    if (!count) return {};
    std::vector<code::Relocation> relocations(*count);
    (void)interpreter::relocations_of(slots, relocations);
    const code::CodeView view{.engine = code::EngineKind::Interpreter,
                              .map_count = map_count,
                              .text = slots,
                              .relocations = relocations};
    const Result<u64> size = interpreter::kEngine.prepared_size(view);
    if (!size) return {};
    Interpreted made;
    made.memory_.resize(*size / sizeof(Block) + 1);
    if (!interpreter::kEngine.prepare(view, resolver,
                                      std::as_writable_bytes(std::span(made.memory_))))
        return {};
    return made;
}

u64 Interpreted::run(void* r1, u64 r2, code::Invocation* invocation) const {
    return interpreter::kEngine.run(memory_.data(), r1, r2, invocation);
}

}  // namespace ebpf::engines
