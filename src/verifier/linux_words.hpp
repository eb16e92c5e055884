// SPDX-License-Identifier: MIT
// What Linux's verifier would say to a rejection (linux_words.def).
#pragma once

#include <map>
#include <string>

#include "verifier/analyzer.hpp"

namespace ebpf::verifier::linux_log_text {

struct Failure {
    const ir::Program& program;
    const ir::Environment& environment;
    const Diagnostic& diagnostic;
    const State& state;  // in which the instruction was met
    u64 steps;
    const std::map<u32, u32>& acquired;  // references: by which instruction
};

// One or two lines, each with its end; empty when Linux has no such error.
std::string words(const Failure& failure);

}  // namespace ebpf::verifier::linux_log_text
