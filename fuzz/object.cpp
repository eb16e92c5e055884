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

// Returns the object's types, null where it has none.
std::shared_ptr<const btf::Types> read(Bytes bytes, const engine::ReadOptions& options) {
    const auto object = engine::read_object(bytes, options);
    if (!object) {
        (void)engine::describe(object.error(), bytes);
        return nullptr;
    }
    for (const engine::ObjectProgram& program : object->programs) {
        if (program.program) use(*program.program);
    }
    return object->btf;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    engine::ReadOptions options;
    options.default_type = spec::ProgramType::Xdp;
    for (const spec::Dialect dialect : {spec::Dialect::Linux, spec::Dialect::Windows}) {
        options.dialect = dialect;
        const auto types = read(bytes, options);
        if (!types || dialect != spec::Dialect::Linux) continue;
        // Fitted to its own types, which say no less than a kernel's would.
        options.target = types.get();
        (void)read(bytes, options);
        options.target = nullptr;
    }
    return 0;
}
