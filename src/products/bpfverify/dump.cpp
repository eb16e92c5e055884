// SPDX-License-Identifier: MIT
#include "products/bpfverify/dump.hpp"

#include <fmt/format.h>

#include "ir/lower.hpp"
#include "isa/text/text.hpp"
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

std::string proven(const ir::Program& program, const ir::InsnFacts& facts) {
    if (!facts.reachable) return "never reached";
    if (const char* memory = name(facts.memory)) return memory;
    if (facts.divisor_nonzero) return "divisor is not 0";
    if (facts.constant_map >= 0)
        return "map " + program.maps[static_cast<u32>(facts.constant_map)].name +
               (facts.constant_key ? ", key " + std::to_string(facts.key) : "");
    return {};
}

// `code`, which stands at `address`, an instruction a line.
std::string disassembly(code::Cpu cpu, Bytes code, u64 address) {
    std::string text;
    for (std::size_t at = 0; at < code.size();) {
        const auto insn =
            products::machine_insn(cpu, code.subspan(at), address + at, products::Syntax::Intel);
        std::string bytes;
        for (const std::byte b : code.subspan(at, insn.length))
            bytes += fmt::format("{:02x}", static_cast<unsigned>(b));
        text += fmt::format("        {:8x}:  {:<22}{}\n", address + at, bytes, insn.text);
        at += insn.length;
    }
    return text;
}

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
            text_ +=
                fmt::format("; {}:{}: {}\n", program_.files[line->file], line->line, line->text);
        line_ = line;
        const std::string fact = at < facts_.insns.size() ? proven(program_, facts_.insns[at]) : "";
        const std::string insn = isa::text::print(program_.insns[at], isa::text::Dialect::Llvm);
        text_ += fmt::format("{:6}  {}\n", program_.slot_of[at],
                             fact.empty() ? insn : fmt::format("{:40}  # {}", insn, fact));
    }
    void add(const std::string& lines) { text_ += lines; }
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
    TRY_ASSIGN(ir::Lowered lowered, ir::lower(program, facts, environment));
    jit::Output output;
    if (optimise) {
        TRY_ASSIGN(jit::Optimised code,
                   jit::optimise_for(lowered.program, lowered.facts, target, {}));
        TRY_ASSIGN(output, jit::compile(code, target, {}));
        jit::carry_lines(code, lowered.program);
        code.program.name = lowered.program.name;
        lowered = {std::move(code.program), std::move(code.facts)};
    } else {
        TRY_ASSIGN(output, jit::compile(lowered.program, lowered.facts, target));
    }
    const Bytes text(output.text);
    const u32 end = output.unwind.size != 0 ? output.unwind.offset : static_cast<u32>(text.size());
    Listing listing(lowered);
    const auto code = [&](u32 from, u32 to) {
        listing.add(disassembly(output.cpu, text.subspan(from, to - from), from));
    };
    const std::vector<u32>& starts = output.insn_offset;
    code(output.entry, starts[0]);
    for (u32 at = 0; at < starts.size(); ++at) {
        listing.add(at);
        const u32 next = at + 1 < starts.size() ? starts[at + 1] : end;
        if (next > starts[at]) code(starts[at], next);
    }
    return listing.take();
}

}  // namespace ebpf::bpfverify
