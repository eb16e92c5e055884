// SPDX-License-Identifier: MIT
//
// From the program that was proven to the program that is compiled: what depends on the dialect is
// replaced once, so that the engines and the hooks know one layout and one set of helper numbers.
//
//   - An access to a context field goes to the field's place in the layout that hooks build
//     (spec::ContextField): Linux's 32-bit `data` of struct xdp_md becomes a 64-bit load of a
//     pointer.
//   - A helper's number becomes the canonical spec::Helper. A number that the program type does not
//     know, or knows without a canonical helper (an embedder's own), keeps its value with
//     kCustomHelperBit set. Where no path leads to a call of an unknown helper, the program ends.
//
// Every instruction stays where it is, so that facts, lines and targets keep their indices.
#pragma once

#include "ir/environment.hpp"
#include "ir/facts.hpp"

namespace ebpf::ir {

// The same bit as code::kCustomHelper (ir/ does not include code/).
inline constexpr u32 kCustomHelperBit = 0x8000'0000;

struct Lowered {
    Program program;
    Facts facts;
};

// `facts` are those of `program`; empty for a trusted program without a proof, in which only helper
// numbers can be replaced. Errors, at the instruction: Unsupported for a helper that a proven
// program cannot call or a field that the two layouts hold too differently, BadFormat when facts
// and program do not fit together.
Result<Lowered> lower(const Program& program, const Facts& facts, const Environment& environment);

}  // namespace ebpf::ir
