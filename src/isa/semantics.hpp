// SPDX-License-Identifier: MIT
//
// What instructions compute, once, for every engine, the verifier's constant folding and the tests
// (RFC 9669 sections 4 and 5). 32-bit operations use the low halves and zero the high half of dst;
// division by zero gives 0, modulo by zero the dividend; shift counts are masked to the width.
#pragma once

#include "isa/insn.hpp"

namespace ebpf::isa {

constexpr u64 eval_alu(AluOp op, Width width, u64 dst, u64 src);
constexpr u64 eval_neg(Width width, u64 dst);
constexpr u64 eval_movsx(Width width, u8 from_bits, u64 src);
constexpr u64 eval_endian(EndianOp op, Width width, u64 dst);
constexpr bool eval_cond(Cond cond, Width width, u64 dst, u64 src);
// The new value of the memory cell for an atomic operation on `old` (r0 is CmpXchg's comparand).
constexpr u64 eval_atomic(AtomicOp op, Width width, u64 old, u64 src, u64 r0);

}  // namespace ebpf::isa
