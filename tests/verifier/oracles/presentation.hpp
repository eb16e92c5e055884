// SPDX-License-Identifier: MIT
// The fourth oracle's judgement: analyses a program and its changed presentations.
#pragma once

#include "fixture.hpp"
#include "oracles/transform.hpp"

namespace ebpf::verifier::oracle {

struct Comparison {
    u64 programs = 0, pairs = 0;
    std::array<u64, kChanges> of_change{};
};

// "" when every presentation that `program` has gets its verdict; else what differs. A budget that
// ran out on either side is no verdict to compare, nor are the limits that a change itself moves:
// the stack's size and the depth of calls.
inline std::string compare_presentations(const ir::Program& program, u64 seed, Comparison& count) {
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    Options options;
    options.max_steps = 30'000;
    const auto moved_limit = [](const Report& r) {
        if (r.verdict == Verdict::Exhausted) return true;
        if (r.diagnostics.empty()) return false;
        const DiagnosticCode code = r.diagnostics[0].code;
        return code == DiagnosticCode::StackBounds || code == DiagnosticCode::CallDepth ||
               code == DiagnosticCode::ReturnPointer || code == DiagnosticCode::LoopTooLong;
    };
    const Report before = analyze(program, environment, options);
    ++count.programs;
    if (moved_limit(before)) return "";
    for (int c = 0; c < kChanges; ++c) {
        const auto change = static_cast<Change>(c);
        const auto other = transform(program, change, seed);
        if (!other) continue;
        const Report after = analyze(*other, environment, options);
        if (moved_limit(after)) continue;
        ++count.pairs;
        ++count.of_change[static_cast<std::size_t>(c)];
        if (before.verdict != after.verdict) {
            return std::string(name(change)) + ": " + outcome(before) + " became " +
                   outcome(after) + "\n" + explain(after);
        }
    }
    return "";
}

}  // namespace ebpf::verifier::oracle
