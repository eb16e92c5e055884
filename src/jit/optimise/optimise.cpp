// SPDX-License-Identifier: MIT
#include "jit/optimise/optimise.hpp"

#include <algorithm>
#include <numeric>

#include "jit/optimise/passes.hpp"

namespace ebpf::jit {

namespace {

constexpr Pass kPasses[] = {
#define PASS(name, what) {#name, what, pass::name},
#include "jit/optimise/passes.def"
#undef PASS
};

}  // namespace

std::span<const Pass> passes() {
    return kPasses;
}

Result<Optimised> optimise(const ir::Program& program, const ir::Facts& facts, const Spare& spare,
                           const Options& options, PassSet which) {
    Optimised code;
    code.program.name = program.name;
    code.program.type = program.type;
    code.program.insns = program.insns;
    code.program.target = program.target;
    code.program.slot_of = program.slot_of;
    code.program.subprograms = program.subprograms;
    code.program.maps = program.maps;
    code.facts = facts;
    code.origin.resize(program.insns.size());
    std::iota(code.origin.begin(), code.origin.end(), 0u);
    code.place = code.origin;
    for (u32 i = 0; i < std::size(kPasses); ++i) {
        if ((which >> i & 1) == 0) continue;
        TRY_ASSIGN(const Analysis analysis, analyze(code.program, code.facts, kRegisters));
        if (spare) code.spare = spare(code.program, analysis);
        kPasses[i].run(code, analysis, options);
    }
    return code;
}

std::vector<u32> original_offsets(const Optimised& code, std::span<const u32> offsets, u32 count) {
    std::vector<u32> out(count, ~u32{0});
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        u32& offset = out[code.place[i]];
        offset = std::min(offset, offsets[i]);
    }
    // Nothing is left of the last: it stands where the code ends.
    u32 behind = offsets.empty() ? 0 : std::ranges::max(offsets);
    for (std::size_t i = count; i-- > 0;) {
        out[i] = std::min(out[i], behind);
        behind = out[i];
    }
    return out;
}

void carry_lines(Optimised& code, const ir::Program& original) {
    code.program.files = original.files;
    code.program.lines.clear();
    const ir::SourceLine* line = nullptr;
    for (u32 i = 0; i < code.origin.size(); ++i) {
        const ir::SourceLine* now = original.line_at(code.origin[i]);
        if (now == line || now == nullptr) continue;
        line = now;
        code.program.lines.push_back(*now);
        code.program.lines.back().insn = i;
    }
}

}  // namespace ebpf::jit
