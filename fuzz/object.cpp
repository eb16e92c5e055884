// SPDX-License-Identifier: MIT
// Whole objects in both dialects: what is linked is then used without reserve.
#include "engine/object.hpp"

namespace {

using namespace ebpf;

void use(const ir::Program& program) {
    for (u32 i = 0; i < program.insns.size(); ++i) {
        if (program.target[i] != ir::kNoTarget && program.target[i] >= program.insns.size()) {
            __builtin_trap();
        }
        const isa::Insn& insn = program.insns[i];
        const bool maps = insn.form == isa::Form::Wide && insn.wide() != isa::WideKind::Imm64 &&
                          insn.wide() != isa::WideKind::Function;
        if (maps && insn.map_index() >= program.maps.size()) __builtin_trap();
        (void)program.line_at(i);
    }
    if (!ir::encode_program(program)) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    for (const spec::Dialect dialect : {spec::Dialect::Linux, spec::Dialect::Windows}) {
        const auto object = engine::read_object(
            bytes, {.dialect = dialect, .default_type = spec::ProgramType::Xdp});
        if (!object) {
            (void)engine::describe(object.error(), bytes);
            continue;
        }
        for (const engine::ObjectProgram& program : object->programs) {
            if (program.program) use(*program.program);
        }
    }
    return 0;
}
