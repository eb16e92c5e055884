// SPDX-License-Identifier: MIT
// Reports and states as text. Colour and JSON are the tools' business; the parts they need are here.
#pragma once

#include "verifier/verifier.hpp"

namespace ebpf::verifier {

const char* name(Verdict verdict);               // "accept", "reject", "unsupported", "exhausted"
const char* title(DiagnosticCode code);          // "a packet is accessed beyond ..."
const char* explanation(DiagnosticCode code);    // why the rule exists
const char* advice(DiagnosticCode code);         // what to write

// Where an instruction comes from; `line` is 0 when the object does not say.
struct SourcePlace {
    std::string file;
    u32 line = 0;
    u32 column = 0;
    std::string text;
};
SourcePlace place_of(const ir::Program& program, u32 insn);

// The report for a person, several lines, plain:
//
//   drop.c:31: error: the access through r1 reaches 42 bytes ... [packet-bounds]
//      31 |     if (udp->len == 0)
//         |              ^
//     instruction 17 of drop_empty_udp
//     note: ...
//     what to write: ...
std::string render_text(const Report& report, const ir::Program& program);

// Every instruction with the state in which it was reached, one block per visit, in the order of the
// analysis; at most `max_visits` of each instruction, 0 for all.
std::string dump_states(const ir::Program& program, const ir::Environment& environment, const Options& options,
                        u32 max_visits);

}  // namespace ebpf::verifier
