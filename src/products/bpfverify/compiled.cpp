// SPDX-License-Identifier: MIT
#include "products/bpfverify/compiled.hpp"

#include <fmt/format.h>

#include <numeric>

#include "jit/optimise/optimise.hpp"
#include "products/disassembly/disassembly.hpp"

namespace ebpf::bpfverify {
namespace {

const char* name(ir::MemoryKind kind) {
    switch (kind) {
        case ir::MemoryKind::Unknown:
            break;
        case ir::MemoryKind::Stack:
            return "stack";
        case ir::MemoryKind::Context:
            return "context";
        case ir::MemoryKind::Packet:
            return "packet";
        case ir::MemoryKind::MapValue:
            return "map value";
        case ir::MemoryKind::Other:
            return "other memory";
    }
    return nullptr;
}

}  // namespace

Bytes Compiled::prologue() const {
    return Bytes(output.text).subspan(output.entry, output.insn_offset[0] - output.entry);
}

Bytes Compiled::code_of(u32 at) const {
    const auto end =
        output.unwind.size != 0 ? output.unwind.offset : static_cast<u32>(output.text.size());
    const u32 from = output.insn_offset[at];
    const u32 next = at + 1 < output.insn_offset.size() ? output.insn_offset[at + 1] : end;
    return next > from ? Bytes(output.text).subspan(from, next - from) : Bytes();
}

Result<Compiled> compile(const ir::Program& program, const ir::Facts& facts,
                         const ir::Environment& environment, const jit::Target& target,
                         bool optimise) {
    Compiled compiled;
    TRY_ASSIGN(compiled.lowered, ir::lower(program, facts, environment));
    ir::Lowered& lowered = compiled.lowered;
    if (!optimise) {
        compiled.origin.resize(lowered.program.insns.size());
        std::iota(compiled.origin.begin(), compiled.origin.end(), 0);
        compiled.place = compiled.origin;
        TRY_ASSIGN(compiled.output, jit::compile(lowered.program, lowered.facts, target));
        return compiled;
    }
    TRY_ASSIGN(jit::Optimised code, jit::optimise_for(lowered.program, lowered.facts, target, {}));
    TRY_ASSIGN(compiled.output, jit::compile(code, target, {}));
    jit::carry_lines(code, lowered.program);
    code.program.name = lowered.program.name;
    compiled.origin = std::move(code.origin);
    compiled.place = std::move(code.place);
    lowered = {std::move(code.program), std::move(code.facts)};
    return compiled;
}

std::string proven(const ir::Program& program, const ir::Facts& facts, u32 at) {
    if (at >= facts.insns.size()) return {};
    const ir::InsnFacts& insn = facts.insns[at];
    if (!insn.reachable) return "never reached";
    if (const char* memory = name(insn.memory)) return memory;
    if (insn.divisor_nonzero) return "divisor is not 0";
    if (insn.constant_map >= 0)
        return "map " + program.maps[static_cast<u32>(insn.constant_map)].name +
               (insn.constant_key ? ", key " + std::to_string(insn.key) : "");
    return {};
}

std::string heading(const ir::Program& program, const ir::SourceLine& line) {
    const std::string file = line.file < program.files.size() ? program.files[line.file] : "";
    return fmt::format("{}:{}: {}", file, line.line, line.text);
}

std::vector<MachineInsn> machine_insns(code::Cpu cpu, Bytes code, u32 offset) {
    std::vector<MachineInsn> insns;
    for (std::size_t at = 0; at < code.size();) {
        auto insn =
            products::machine_insn(cpu, code.subspan(at), offset + at, products::Syntax::Intel);
        insns.push_back(
            {offset + static_cast<u32>(at), code.subspan(at, insn.length), std::move(insn.text)});
        at += insn.length;
    }
    return insns;
}

}  // namespace ebpf::bpfverify
