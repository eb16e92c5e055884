// SPDX-License-Identifier: MIT
//
// The text of an encoding as a pattern: literal characters with the operands in braces. One pattern
// serves the printer and the parser, so that they cannot disagree, and a dialect is one function
// from an encoding to its pattern.
//
//   {d} {s}   dst, src, named after the operation's width (LLVM: r1 or w1)
//   {D} {S}   dst, src by their 64-bit names
//   {e} {E}   dst, src printed after the width; either name is read
//   {i}       32-bit immediate; -2^31 .. 2^32-1 are read
//   {l}       64-bit immediate
//   {k}       the number of the kind, as it stands in `src`
//   {n}       unsigned 32-bit number
//   {o}       memory offset with its sign: ` + 0x4` (LLVM), `+4`; may be left out when read
//   {p}       the same for an immediate; printed only when it is not zero
//   {f}       ` fd 0x2`: the offset field of a kfunc call; printed only when it is not zero
//   {j}       displacement with its sign, or a label
//   {g}       displacement with or without a sign, or a label
//   {x}       32-bit immediate in hex without a sign; {m} {h} lower and upper half of a 64-bit one.
//             Printed only
//
// A blank stands for any number of blanks or tabs, at least one between two words.
#pragma once

#include <string>
#include <vector>

#include "isa/table.hpp"
#include "isa/text/text.hpp"

namespace ebpf::isa::text {

struct Pattern {
    const Encoding* encoding = nullptr;
    std::string text;
};

// The pattern that prints `encoding`.
std::string pattern_of(const Encoding& encoding, Dialect dialect);

// The patterns of a dialect for reading: all encodings' and the dialect's aliases.
const std::vector<Pattern>& patterns(Dialect dialect);

// Like parse(), but a jump may name a label, which is put in `label` (empty when it does not); the
// displacement is then 0.
Result<Insn> parse_with_label(std::string_view line, Dialect dialect, std::string_view& label);

}  // namespace ebpf::isa::text
