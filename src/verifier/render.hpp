// SPDX-License-Identifier: MIT
// What tools need beside the report itself: the texts of the diagnostics' table, and states as
// text. engine/report_text.hpp puts a report together for a person.
#pragma once

#include "verifier/verifier.hpp"

namespace ebpf::verifier {

const char* name(Verdict verdict);             // "accept", "reject", "unsupported", "exhausted"
const char* title(DiagnosticCode code);        // "a packet is accessed beyond ..."
const char* explanation(DiagnosticCode code);  // why the rule exists
const char* advice(DiagnosticCode code);       // what to write

// Every instruction with the state in which it was reached, one block per visit, in the order of
// the analysis; at most `max_visits` of each instruction, 0 for all.
std::string dump_states(const ir::Program& program, const ir::Environment& environment,
                        const Options& options, u32 max_visits);

}  // namespace ebpf::verifier
