// SPDX-License-Identifier: MIT
// What tests of the number domain go through.
#pragma once

#include "isa/insn.hpp"

namespace ebpf::verifier {

using isa::AluOp;
using isa::Cond;
using isa::Width;

inline constexpr AluOp kAluOps[] = {AluOp::Add, AluOp::Sub,  AluOp::Mul,  AluOp::Div, AluOp::SDiv,
                                    AluOp::Mod, AluOp::SMod, AluOp::Or,   AluOp::And, AluOp::Xor,
                                    AluOp::Lsh, AluOp::Rsh,  AluOp::Arsh, AluOp::Mov};
inline constexpr Cond kConds[] = {Cond::Eq,  Cond::Ne,  Cond::Gt,  Cond::Ge,  Cond::Lt, Cond::Le,
                                  Cond::SGt, Cond::SGe, Cond::SLt, Cond::SLe, Cond::Set};
inline constexpr Width kWidths[] = {Width::W32, Width::W64};

}  // namespace ebpf::verifier
