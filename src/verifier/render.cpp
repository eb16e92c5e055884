// SPDX-License-Identifier: MIT
#include "verifier/render.hpp"

#include "isa/text/text.hpp"
#include "verifier/analyzer.hpp"

namespace ebpf::verifier {

std::string dump_states(const ir::Program& program, const ir::Environment& environment,
                        const Options& options, u32 max_visits) {
    struct Sink : Observer {
        const ir::Program& program;
        u32 max_visits;
        std::vector<u32> visits;
        std::vector<State> last;  // of each instruction
        std::string text;

        Sink(const ir::Program& p, u32 most)
            : program(p), max_visits(most), visits(p.insns.size(), 0), last(p.insns.size()) {}
        void see(const State& state) override {
            last[state.pc] = state;
            if (++visits[state.pc] <= max_visits || max_visits == 0) print(state);
        }
        void print(const State& state) {
            text += std::to_string(state.pc) + ": " +
                    isa::text::print(program.insns[state.pc], isa::text::Dialect::Llvm) + "\n" +
                    to_string(state);
        }
    } sink(program, max_visits);
    const Report report = Analyzer(program, environment, options, &sink).run();
    if (!report.diagnostics.empty()) {
        // Whatever was left out above, this is what the error is about.
        const u32 at = report.diagnostics[0].insn;
        if (at < sink.last.size() && !sink.last[at].frames.empty()) {
            sink.text +=
                "the state that failed, " + std::string(name(report.diagnostics[0].code)) + ":\n";
            sink.print(sink.last[at]);
        }
    }
    return sink.text;
}

}  // namespace ebpf::verifier
