// SPDX-License-Identifier: MIT
//
// From an instruction to the operation that it is here. Instructions that differ in constants only
// are the same operation (a copy is a sum with 0, a 32-bit addition a 64-bit one that is cut), and
// an operation whose register the next one reads and overwrites becomes part of that one. So there
// are few kinds, and most of what programs do one after the other is in sequences.hpp.
#pragma once

#include "interpreter/decoded.hpp"

namespace ebpf::interpreter {

// None where `insn` is refused; see interpreter.hpp.
std::optional<Handler> handler_of(const Insn& insn);

// The operation of `insn`, which has a handler, as far as it needs no address and no distance.
Op select(const Insn& insn);

// Whether control goes on at a distance, which Op::branch is to have (or, of WideFunction, where
// the constant is an operation's address).
bool has_target(const Insn& insn);

// Makes `next`, the operation of `insn`, do what `op` directly before it does, too. False, and
// nothing is changed, where that is not possible. Nobody else may reach `next`.
bool merge(const Op& op, Op& next, const Insn& insn);

}  // namespace ebpf::interpreter
