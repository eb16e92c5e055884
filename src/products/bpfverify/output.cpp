// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/report_text.hpp"
#include "isa/text/text.hpp"
#include "products/bpfverify/verify.hpp"

namespace ebpf::bpfverify {
namespace {

using nlohmann::ordered_json;

ordered_json source_of(const ir::Program& program, u32 insn) {
    const ir::SourceLine* line = program.line_at(insn);
    if (!line) return nullptr;
    const std::string file = line->file < program.files.size() ? program.files[line->file] : "";
    return {{"file", file}, {"line", line->line}, {"text", line->text}};
}

ordered_json diagnostics_of(const Outcome& outcome) {
    ordered_json list = ordered_json::array();
    for (const verifier::Diagnostic& diagnostic : outcome.report.diagnostics) {
        const bool inside = diagnostic.insn < outcome.program.insns.size();
        list.push_back(
            {{"code", verifier::name(diagnostic.code)},
             {"message", diagnostic.message},
             {"instruction", inside ? outcome.program.slot_of[diagnostic.insn] : diagnostic.insn},
             {"source", source_of(outcome.program, diagnostic.insn)},
             {"notes", diagnostic.notes}});
    }
    if (outcome.error) {
        const Where& where = outcome.error->where;
        const bool insn = where.kind == Where::Kind::Instruction;
        list.push_back({{"code", std::string(ebpf::name(outcome.error->code))},
                        {"message", outcome.error_text},
                        {"instruction", insn ? ordered_json(where.value) : ordered_json(nullptr)},
                        {"source", insn ? source_of(outcome.program, static_cast<u32>(where.value))
                                        : ordered_json(nullptr)},
                        {"notes", ordered_json::array()}});
    }
    return list;
}

std::string painted(const Options& options, const char* code, std::string_view text) {
    return options.coloured ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string listing(const ir::Program& program) {
    std::string text;
    const ir::SourceLine* last = nullptr;
    for (u32 i = 0; i < program.insns.size(); ++i) {
        if (const ir::SourceLine* line = program.line_at(i); line && line != last) {
            if (!line->text.empty()) text += fmt::format("        ; {}\n", line->text);
            last = line;
        }
        text += fmt::format("{:6}: {}\n", program.slot_of[i],
                            isa::text::print(program.insns[i], isa::text::Dialect::Llvm));
    }
    return text;
}

}  // namespace

const char* name(Outcome::Verdict verdict) {
    switch (verdict) {
        case Outcome::Verdict::Accept:
            return "accept";
        case Outcome::Verdict::Reject:
            return "reject";
        case Outcome::Verdict::Unsupported:
            return "unsupported";
        case Outcome::Verdict::Error:
            return "error";
    }
    return "error";
}

std::string to_json(const Options& options, const Outcome& outcome) {
    const ir::Program& program = outcome.program;
    const ordered_json line = {
        {"file", options.file},
        {"section", program.section},
        {"program", program.name},
        {"instructions", program.slot_of.empty() ? 0 : program.slot_of.back()},
        {"verdict", name(outcome.verdict)},
        {"usec", outcome.usec},
        {"peak_kib", outcome.peak_kib},
        {"diagnostics", diagnostics_of(outcome)}};
    // Names come from the file and may be any bytes; JSON is UTF-8.
    return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string to_text(const Options& options, const Outcome& outcome) {
    const ir::Program& program = outcome.program;
    const bool good = outcome.verdict == Outcome::Verdict::Accept;
    std::string text = fmt::format(
        "{}  {}  {}\n",
        painted(options, good ? "32" : "1;31", fmt::format("{:<11}", name(outcome.verdict))),
        painted(options, "1", fmt::format("{:<28}", program.name)),
        painted(options, "2",
                fmt::format("{}, {} instructions, {:.1f} ms, {} KiB", program.section,
                            program.slot_of.empty() ? 0 : program.slot_of.back(),
                            outcome.usec / 1000.0, outcome.peak_kib)));
    if (options.dump_instructions) text += listing(program);
    text += outcome.states;
    text += engine::report_text(program, outcome.report, {.coloured = options.coloured});
    if (outcome.error) text += "  " + outcome.error_text + "\n";
    return text;
}

}  // namespace ebpf::bpfverify
