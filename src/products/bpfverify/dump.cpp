// SPDX-License-Identifier: MIT
#include "products/bpfverify/dump.hpp"

#include <fmt/format.h>

#include "isa/text/text.hpp"
#include "products/bpfverify/compiled.hpp"

namespace ebpf::bpfverify {
namespace {

// Instructions below the lines that they come from.
class Listing {
  public:
    explicit Listing(const ir::Lowered& lowered)
        : program_(lowered.program), facts_(lowered.facts) {
        text_ = fmt::format("{}:\n", program_.name);
    }

    void add(u32 at) {
        const ir::SourceLine* line = program_.line_at(at);
        if (line != nullptr && line != line_)
            text_ += fmt::format("; {}\n", heading(program_, *line));
        line_ = line;
        const std::string fact = proven(program_, facts_, at);
        const std::string insn = isa::text::print(program_.insns[at], isa::text::Dialect::Llvm);
        text_ += fmt::format("{:6}  {}\n", program_.slot_of[at],
                             fact.empty() ? insn : fmt::format("{:40}  # {}", insn, fact));
    }
    void add(code::Cpu cpu, Bytes code, u32 offset) {
        for (const MachineInsn& insn : machine_insns(cpu, code, offset)) {
            std::string bytes;
            for (const std::byte b : insn.bytes)
                bytes += fmt::format("{:02x}", static_cast<unsigned>(b));
            text_ += fmt::format("        {:8x}:  {:<22}{}\n", insn.offset, bytes, insn.text);
        }
    }
    std::string take() { return std::move(text_); }

  private:
    const ir::Program& program_;
    const ir::Facts& facts_;
    const ir::SourceLine* line_ = nullptr;
    std::string text_;
};

}  // namespace

Result<std::string> dump_lowered(const ir::Program& program, const ir::Facts& facts,
                                 const ir::Environment& environment) {
    TRY_ASSIGN(const ir::Lowered lowered, ir::lower(program, facts, environment));
    Listing listing(lowered);
    for (u32 at = 0; at < lowered.program.insns.size(); ++at) listing.add(at);
    return listing.take();
}

Result<std::string> dump_machine_code(const ir::Program& program, const ir::Facts& facts,
                                      const ir::Environment& environment, const jit::Target& target,
                                      bool optimise) {
    TRY_ASSIGN(const Compiled compiled, compile(program, facts, environment, target, optimise));
    Listing listing(compiled.lowered);
    const jit::Output& output = compiled.output;
    listing.add(output.cpu, compiled.prologue(), output.entry);
    for (u32 at = 0; at < compiled.lowered.program.insns.size(); ++at) {
        listing.add(at);
        listing.add(output.cpu, compiled.code_of(at), compiled.offset_of(at));
    }
    return listing.take();
}

}  // namespace ebpf::bpfverify
