// SPDX-License-Identifier: MIT
#include "verifier/render.hpp"

#include "isa/text/text.hpp"
#include "verifier/analyzer.hpp"

namespace ebpf::verifier {

std::string dump_states(const ir::Program& program, const ir::Environment& environment,
                        const Options& options, u32 max_visits) {
    struct Sink {
        const ir::Program& program;
        u32 max_visits;
        std::vector<u32> visits;
        std::string text;
    } sink{program, max_visits, std::vector<u32>(program.insns.size(), 0), {}};
    const Observer observer = [](void* self, const State& state) {
        Sink& s = *static_cast<Sink*>(self);
        if (s.max_visits != 0 && ++s.visits[state.pc] > s.max_visits) return;
        s.text += std::to_string(state.pc) + ": " +
                  isa::text::print(s.program.insns[state.pc], isa::text::Dialect::Llvm) + "\n" +
                  to_string(state);
    };
    Analyzer(program, environment, options, observer, &sink).run();
    return sink.text;
}

}  // namespace ebpf::verifier
