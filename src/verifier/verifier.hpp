// SPDX-License-Identifier: MIT
// The verifier's interface: a pure function from a program and its environment to a report.
#pragma once

#include <string>
#include <vector>

#include "ir/environment.hpp"
#include "ir/facts.hpp"
#include "ir/program.hpp"

namespace ebpf::verifier {

enum class Verdict : u8 {
    Accept,
    Reject,       // not proven safe
    Unsupported,  // needs what the environment or this version lacks; the diagnostic names it
    Exhausted,    // the budget ended first; the diagnostic names where the work went
};

struct Options {
    u64 max_steps = 4'000'000;        // abstract instructions analysed
    u64 max_memory = u64{256} << 20;  // bytes of states kept
    u32 max_stack = 0;                // 0: 512 per frame; else for a whole call chain (Linux: 512)
    bool strict_alignment = false;
};

// One row of diagnostics.def; the name ("E_PACKET_BOUNDS") is the stable code of the JSON output.
enum class DiagnosticCode : u16 {
#define DIAGNOSTIC(id, ...) id,
#include "verifier/diagnostics.def"
};

struct Diagnostic {
    DiagnosticCode code{};
    u32 insn = 0;                    // index into Program::insns
    std::string message;             // what is wrong, with the value's range
    std::vector<std::string> notes;  // what had to hold, where the fact was lost, what to write
};
const char* name(DiagnosticCode code);  // stable, e.g. "packet-bounds"

// Checkpoints: places where the state was kept to compare later ones with.
struct Work {
    u32 states = 0;       // made
    u32 peak_states = 0;  // kept at the same time, at most
    u32 most_at_one_insn = 0;
};

struct Report {
    Verdict verdict = Verdict::Reject;
    std::vector<Diagnostic> diagnostics;  // empty when accepted
    ir::Facts facts;                      // valid when accepted
    u64 steps = 0;
    u64 peak_bytes = 0;  // of states, not of the process
    Work work;
};

Report analyze(const ir::Program& program, const ir::Environment& environment,
               const Options& options);

}  // namespace ebpf::verifier
