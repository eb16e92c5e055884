// SPDX-License-Identifier: MIT
//
// A block per instruction of the byte code, below its source line: what the object says, what was
// made of it with what is proven, and its machine code. The numbers of the first two are slots of
// the object's section, so that they are each other's; machine code has offsets.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "isa/text/text.hpp"
#include "products/bpfverify/compiled.hpp"
#include "products/bpfverify/dump.hpp"

namespace ebpf::bpfverify {
namespace {

constexpr std::size_t kForms = 3;
constexpr std::array<const char*, kForms> kTitles = {"byte code", "lowered, with what is proven",
                                                     "machine code"};
constexpr std::string_view kBetween = " | ";

using Lines = std::vector<std::string>;
using Block = std::array<Lines, kForms>;

// `text` in lines of at most `width` characters; what does not fit goes on below, indented.
void wrap(std::string_view text, std::size_t width, Lines& lines) {
    constexpr std::string_view kIndent = "        ";
    std::string_view indent;
    do {
        const std::size_t room = width - indent.size();
        lines.push_back(std::string(indent) + std::string(text.substr(0, room)));
        text.remove_prefix(std::min(room, text.size()));
        indent = kIndent;
    } while (!text.empty());
}

// How wide the columns are in `width` characters.
std::array<std::size_t, kForms> columns(std::size_t width) {
    const std::size_t room = width - (kForms - 1) * kBetween.size();
    const std::size_t first = room * 30 / 100, second = room * 38 / 100;
    return {first, second, room - first - second};
}

std::string beside(const Block& block, std::size_t width) {
    const auto widths = columns(width);
    Block cells;
    std::size_t rows = 0;
    for (std::size_t form = 0; form < kForms; ++form) {
        for (const std::string& line : block[form]) wrap(line, widths[form], cells[form]);
        rows = std::max(rows, cells[form].size());
    }
    std::string text;
    for (std::size_t row = 0; row < rows; ++row) {
        std::string line;
        for (std::size_t form = 0; form < kForms; ++form) {
            const std::string cell = row < cells[form].size() ? cells[form][row] : "";
            line += fmt::format("{}{:{}}", form == 0 ? "" : kBetween, cell, widths[form]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

// Further forms further right.
std::string below(const Block& block) {
    std::string text;
    for (std::size_t form = 0; form < kForms; ++form) {
        for (const std::string& line : block[form])
            text += fmt::format("{:{}}{}\n", "", 4 * form, line);
    }
    return text;
}

class SideBySide {
  public:
    SideBySide(const ir::Program& program, const Compiled& compiled, u32 width)
        : program_(program), compiled_(compiled), lowered_(compiled.lowered), width_(width) {
        there_.resize(program.insns.size());
        for (const u32 at : compiled.origin) there_[at] = true;
    }

    std::string text() {
        text_ = fmt::format("{}:\n", program_.name);
        Block titles;
        for (std::size_t form = 0; form < kForms; ++form) titles[form] = {kTitles[form]};
        add(titles);
        Block prologue;
        prologue[2] = machine_code(compiled_.prologue(), compiled_.output.entry);
        add(prologue);
        for (u32 at = 0; at < lowered_.program.insns.size(); ++at) insn(at);
        vanished(static_cast<u32>(program_.insns.size()));
        return std::move(text_);
    }

  private:
    void insn(u32 at) {
        const u32 origin = compiled_.origin[at];
        // A call stands before what it became.
        const u32 place = compiled_.place[at];
        vanished(place == origin ? place : place + 1);
        source_line(origin);
        Block block;
        if (origin != last_) block[0] = {original(origin)};
        last_ = origin;
        const std::string fact = proven(lowered_.program, lowered_.facts, at);
        block[1] = {numbered(lowered_.program.slot_of[at], lowered_.program.insns[at]) +
                    (fact.empty() ? "" : "  # " + fact)};
        block[2] = machine_code(compiled_.code_of(at), compiled_.offset_of(at));
        add(block);
    }

    // Instructions before `end` that nothing comes from stand where they were.
    void vanished(u32 end) {
        for (; next_ < end; ++next_) {
            if (there_[next_]) continue;
            source_line(next_);
            Block block;
            block[0] = {original(next_)};
            add(block);
        }
    }

    void source_line(u32 origin) {
        const ir::SourceLine* line = program_.line_at(origin);
        if (line != nullptr && line != line_)
            text_ += fmt::format("; {}\n", heading(program_, *line));
        line_ = line;
    }

    static std::string numbered(u32 slot, const isa::Insn& insn) {
        return fmt::format("{:5}  {}", slot, isa::text::print(insn, isa::text::Dialect::Llvm));
    }
    std::string original(u32 at) const {
        return numbered(program_.slot_of[at], program_.insns[at]);
    }

    Lines machine_code(Bytes code, u32 offset) const {
        Lines lines;
        for (const MachineInsn& insn : machine_insns(compiled_.output.cpu, code, offset))
            lines.push_back(fmt::format("{:5x}  {}", insn.offset, insn.text));
        return lines;
    }

    void add(const Block& block) { text_ += width_ == 0 ? below(block) : beside(block, width_); }

    const ir::Program& program_;
    const Compiled& compiled_;
    const ir::Lowered& lowered_;
    u32 width_;
    std::vector<bool> there_;  // instructions that something comes from
    u32 next_ = 0;             // the first that was not looked at for vanished()
    u32 last_ = ~u32{0};
    const ir::SourceLine* line_ = nullptr;
    std::string text_;
};

}  // namespace

Result<std::string> dump_code(const ir::Program& program, const ir::Facts& facts,
                              const ir::Environment& environment, const jit::Target& target,
                              bool optimise, u32 width) {
    TRY_ASSIGN(const Compiled compiled, compile(program, facts, environment, target, optimise));
    return SideBySide(program, compiled, width < kColumnsWidth ? 0 : width).text();
}

}  // namespace ebpf::bpfverify
