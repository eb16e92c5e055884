// SPDX-License-Identifier: MIT
#include "verifier/verifier.hpp"

#include "verifier/analyzer.hpp"
#include "verifier/render.hpp"

namespace ebpf::verifier {

namespace {

struct Row {
    const char* name;
    const char* title;
    const char* explanation;
    const char* advice;
};

constexpr Row kRows[] = {
#define DIAGNOSTIC(id, name, title, explanation, advice) {name, title, explanation, advice},
#include "verifier/diagnostics.def"
};

}  // namespace

Report analyze(const ir::Program& program, const ir::Environment& environment,
               const Options& options) {
    return Analyzer(program, environment, options).run();
}

const char* name(DiagnosticCode code) {
    return kRows[static_cast<std::size_t>(code)].name;
}
const char* title(DiagnosticCode code) {
    return kRows[static_cast<std::size_t>(code)].title;
}
const char* explanation(DiagnosticCode code) {
    return kRows[static_cast<std::size_t>(code)].explanation;
}
const char* advice(DiagnosticCode code) {
    return kRows[static_cast<std::size_t>(code)].advice;
}

const char* name(Verdict verdict) {
    switch (verdict) {
        case Verdict::Accept:
            return "accept";
        case Verdict::Reject:
            return "reject";
        case Verdict::Unsupported:
            return "unsupported";
        case Verdict::Exhausted:
            return "exhausted";
    }
    return "?";
}

}  // namespace ebpf::verifier
