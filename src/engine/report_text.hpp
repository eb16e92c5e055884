// SPDX-License-Identifier: MIT
// A verifier's report as a person reads it: in log buffers, on bpfverify's screen, on the demo's
// page.
#pragma once

#include <string>

#include "ir/program.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::engine {

struct TextStyle {
    bool coloured = false;
    bool instructions = true;  // name the instruction below the source line
};

// All diagnostics, each with the source line that it is about (where the object has lines), the
// instruction, and its notes:
//
//     error[packet-bounds]: <message>
//       --> drop.bpf.c:31
//        |
//     31 |     int empty = udp->len == bpf_htons(8);
//        |
//       in instruction 42: r8 = *(u16 *)(r1 + 0x4)
//       note: ...
std::string report_text(const ir::Program& program, const verifier::Report& report,
                        const TextStyle& style);

// An error that ended the work before or after the verifier, in words; the place is named as the
// program's source line when it is an instruction.
std::string error_text(const ir::Program* program, const Error& error);

}  // namespace ebpf::engine
