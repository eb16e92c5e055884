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

// The analysis as Linux's verifier logs it (linux_log.cpp), made by analysing once more: of long
// ones only the last instructions are written. `report` is what the analysis came to.
enum class LogDetail : u8 {
    None,  // what Linux would say to the error alone
    Path,  // log level 1: the way to the error
    All,   // log level 2: every path
};
struct LinuxText {
    std::string way;
    std::string words;  // one or two lines in Linux's words; empty when Linux has none
};
LinuxText linux_log(const ir::Program& program, const ir::Environment& environment,
                    const Options& options, LogDetail detail, const Report& report);

// The blocks of the program and where control goes between them, with their source lines: as text,
// or as a graph in Graphviz' language.
std::string dump_cfg(const ir::Program& program);
std::string dump_cfg_dot(const ir::Program& program);

}  // namespace ebpf::verifier
