// SPDX-License-Identifier: MIT
#include "verifier/render.hpp"

#include "isa/text/text.hpp"
#include "verifier/analyzer.hpp"

namespace ebpf::verifier {

SourcePlace place_of(const ir::Program& program, u32 insn) {
    SourcePlace place;
    if (insn >= program.insns.size()) return place;
    const ir::SourceLine* line = program.line_at(insn);
    if (line == nullptr) return place;
    if (line->file < program.files.size()) place.file = program.files[line->file];
    place.line = line->line;
    place.column = line->column;
    place.text = line->text;
    return place;
}

std::string render_text(const Report& report, const ir::Program& program) {
    std::string out;
    if (report.diagnostics.empty()) {
        return std::string(name(report.verdict)) + ": " + program.name + " (" + std::to_string(program.insns.size()) + " instructions, " +
               std::to_string(report.steps) + " analysed)\n";
    }
    for (const Diagnostic& d : report.diagnostics) {
        const SourcePlace place = place_of(program, d.insn);
        const char* const kind = report.verdict == Verdict::Reject ? "error" : name(report.verdict);
        if (place.line != 0) {
            out += place.file + ":" + std::to_string(place.line) + ": ";
        } else {
            out += (program.object.empty() ? std::string("program") : program.object) + ": ";
        }
        out += std::string(kind) + ": " + d.message + " [" + name(d.code) + "]\n";
        if (!place.text.empty()) {
            std::string number = std::to_string(place.line);
            if (number.size() < 5) number.insert(0, 5 - number.size(), ' ');
            const std::size_t indent = place.text.find_first_not_of(" \t");
            out += number + " | " + place.text + "\n";
            std::size_t caret = place.column > 0 ? place.column - 1 : indent == std::string::npos ? 0 : indent;
            caret = std::min(caret, place.text.size());
            std::string gap = place.text.substr(0, caret);
            for (char& c : gap) c = c == '\t' ? '\t' : ' ';
            out += std::string(number.size(), ' ') + " | " + gap + "^\n";
        }
        out += "  instruction " + std::to_string(d.insn);
        if (d.insn < program.insns.size()) {
            out += ": " + isa::text::print(program.insns[d.insn], isa::text::Dialect::Llvm);
            const ir::Subprogram* sub = program.subprograms.empty() ? nullptr : &program.subprograms[program.subprogram_at(d.insn)];
            const std::string& function = sub != nullptr && !sub->name.empty() ? sub->name : program.name;
            if (!function.empty()) out += "  (in " + function + ")";
        }
        out += "\n";
        for (const std::string& note : d.notes) out += "  note: " + note + "\n";
        out += std::string("  what to write: ") + advice(d.code) + "\n";
    }
    return out;
}

std::string dump_states(const ir::Program& program, const ir::Environment& environment, const Options& options, u32 max_visits) {
    struct Sink {
        const ir::Program& program;
        u32 max_visits;
        std::vector<u32> visits;
        std::string text;
    } sink{program, max_visits, std::vector<u32>(program.insns.size(), 0), {}};
    const Observer observer = [](void* self, const State& state) {
        Sink& s = *static_cast<Sink*>(self);
        if (s.max_visits != 0 && ++s.visits[state.pc] > s.max_visits) return;
        s.text += std::to_string(state.pc) + ": " + isa::text::print(s.program.insns[state.pc], isa::text::Dialect::Llvm) + "\n" + to_string(state);
    };
    Analyzer(program, environment, options, observer, &sink).run();
    return sink.text;
}

}  // namespace ebpf::verifier
