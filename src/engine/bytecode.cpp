// SPDX-License-Identifier: MIT
#include "engine/bytecode.hpp"

#include <optional>

namespace ebpf::engine {
namespace {

using code::Relocation;
using code::RelocKind;
using isa::Form;

// What the execution context has to fill in for `insn`, if anything. Addresses of subprograms are
// the interpreter's own and need nothing.
Result<std::optional<Relocation>> relocation_of(const isa::Insn& insn, u32 slot) {
    const u32 offset = slot * static_cast<u32>(sizeof(isa::Slot));
    if (insn.form == Form::Call && insn.call() == isa::CallKind::Helper) {
        return Relocation{
            .offset = offset, .kind = RelocKind::Helper64, .index = static_cast<u32>(insn.imm)};
    }
    if (insn.form == Form::Call && insn.call() == isa::CallKind::Kfunc) {
        return fail(Errc::Unsupported, at_insn(slot), "call of a kernel function",
                    static_cast<u64>(insn.imm));
    }
    if (insn.form != Form::Wide) return std::nullopt;
    switch (insn.wide()) {
        case isa::WideKind::MapIndex:
            return Relocation{
                .offset = offset, .kind = RelocKind::Map64, .index = insn.map_index()};
        case isa::WideKind::MapIndexValue:
            return Relocation{.offset = offset,
                              .kind = RelocKind::MapValue64,
                              .index = insn.map_index(),
                              .addend = insn.map_value_offset()};
        case isa::WideKind::Imm64:
        case isa::WideKind::Function:
            return std::nullopt;
        case isa::WideKind::MapFd:
        case isa::WideKind::MapFdValue:
        case isa::WideKind::BtfId:
            break;
    }
    return fail(Errc::Unsupported, at_insn(slot), "an address that was not resolved");
}

}  // namespace

Result<Bytecode> bytecode(const ir::Program& program) {
    Bytecode code;
    TRY_ASSIGN(code.text, ir::encode_program(program));
    for (size_t i = 0; i < program.insns.size(); ++i) {
        TRY_ASSIGN(const std::optional<Relocation> relocation,
                   relocation_of(program.insns[i], program.slot_of[i]));
        if (relocation) code.relocations.push_back(*relocation);
    }
    return code;
}

}  // namespace ebpf::engine
