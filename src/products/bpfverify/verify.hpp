// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "ir/program.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::bpfverify {

struct Options {
    std::string file;
    std::optional<spec::Dialect> dialect;  // none: as the object shows
    std::string section, program, type;    // empty: all, or as the section says
    std::string kernel_types;              // file with a kernel's BTF; empty: not known
    bool json = false;
    bool dump_instructions = false;
    bool dump_states = false;
    bool dump_cfg = false;  // as text, or as a graph for Graphviz
    bool dump_dot = false;
    bool dump_lowered = false;  // of accepted programs: what the engines get, and their code
    bool dump_machine_code = false;
    bool dump_code = false;  // the byte code beside both
    u32 width = 0;           // characters that it may take; 0: no columns
    bool optimise = false;   // the code's level
    bool coloured = false;
};

// Everything that is said about one program.
struct Outcome {
    ir::Program program;
    enum class Verdict { Accept, Reject, Unsupported, Error } verdict = Verdict::Error;
    verifier::Report report;
    std::optional<Error> error;  // what ended it outside the verifier
    std::string states;          // what --dump asked for: the first visits of each instruction, or
                                 // the blocks
    std::string error_text;      // that error in words
    u64 usec = 0;                // CPU time from decoding to the verdict
    u64 peak_kib = 0;            // memory of the analysis
};

const char* name(Outcome::Verdict verdict);  // "accept" ...

// One line of JSON, without its line end.
std::string to_json(const Options& options, const Outcome& outcome);
std::string to_text(const Options& options, const Outcome& outcome);

// Verifies and prints; the exit status.
int run(const Options& options);

}  // namespace ebpf::bpfverify
