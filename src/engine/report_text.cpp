// SPDX-License-Identifier: MIT
#include "engine/report_text.hpp"

#include <fmt/format.h>

#include <array>

#include "isa/text/text.hpp"

namespace ebpf::engine {
namespace {

class Writer {
  public:
    Writer(const ir::Program& program, const TextStyle& style) : program_(program), style_(style) {}

    void diagnostic(verifier::Verdict verdict, const verifier::Diagnostic& diagnostic) {
        const char* kind = verdict == verifier::Verdict::Unsupported ? "unsupported" : "error";
        text_ += fmt::format("{}: {}\n",
                             paint("1;31", fmt::format("{}[{}]", kind, name(diagnostic.code))),
                             paint("1", diagnostic.message));
        source_line(diagnostic.insn);
        for (const std::string& note : diagnostic.notes) {
            text_ += fmt::format("  {} {}\n", paint("36", "note:"), note);
        }
    }

    std::string take() { return std::move(text_); }

  private:
    std::string paint(const char* code, std::string_view text) const {
        return style_.coloured ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
    }

    void source_line(u32 insn) {
        if (const ir::SourceLine* line = program_.line_at(insn)) {
            const std::string number = std::to_string(line->line);
            const std::string blank(number.size(), ' ');
            const std::string_view file = line->file < program_.files.size()
                                              ? program_.files[line->file]
                                              : std::string_view("?");
            text_ += fmt::format("{} {} {}:{}\n", blank, paint("36", "-->"), file, number);
            if (!line->text.empty()) {
                text_ += fmt::format("{} {}\n{} {} {}\n{} {}\n", blank, paint("36", "|"),
                                     paint("36", number), paint("36", "|"), line->text, blank,
                                     paint("36", "|"));
            }
        }
        if (style_.instructions && insn < program_.insns.size()) {
            text_ += fmt::format("  in instruction {} of {}: {}\n", program_.slot_of[insn],
                                 function_name(insn),
                                 isa::text::print(program_.insns[insn], isa::text::Dialect::Llvm));
        }
    }

    std::string_view function_name(u32 insn) const {
        const u32 index = program_.subprogram_at(insn);
        return index < program_.subprograms.size() && !program_.subprograms[index].name.empty()
                   ? program_.subprograms[index].name
                   : program_.name;
    }

    const ir::Program& program_;
    const TextStyle& style_;
    std::string text_;
};

}  // namespace

std::string report_text(const ir::Program& program, const verifier::Report& report,
                        const TextStyle& style) {
    Writer writer(program, style);
    for (const verifier::Diagnostic& diagnostic : report.diagnostics) {
        writer.diagnostic(report.verdict, diagnostic);
    }
    return writer.take();
}

std::string error_text(const ir::Program* program, const Error& error) {
    std::array<char, 256> buffer;
    std::string text(buffer.data(), render(error, buffer));
    if (!program || error.where.kind != Where::Kind::Instruction) return text;
    // Parsers name slots, later stages indices; a line is shown where both agree on one.
    if (const ir::SourceLine* line = program->line_at(static_cast<u32>(error.where.value))) {
        if (line->file < program->files.size()) {
            text += fmt::format(" ({}:{})", program->files[line->file], line->line);
        }
    }
    return text;
}

}  // namespace ebpf::engine
