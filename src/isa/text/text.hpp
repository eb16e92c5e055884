// SPDX-License-Identifier: MIT
//
// Instructions as text, in two dialects and both directions. What is printed can be parsed again:
// parse(print(insn)) == insn for every legal instruction.
//
//   Llvm         what llvm-objdump --mcpu=v4 prints and clang's inline assembly takes:
//                `r1 += r2`, `w0 = *(u8 *)(r1 + 0x3)`, `if r1 s< 0x5 goto +0x3`. Ours differs in
//                calls: `call 0xc` is a helper, `call +0x2` or `call label` a subprogram
//                (llvm-objdump prints both alike), `call kfunc 0x9` a kernel function (`fd 0x2`
//                after it names the index of its BTF).
//   Conformance  the language of bpf_conformance's `-- asm` sections: `add32 %r1, 5`,
//                `ldxw %r0, [%r1+4]`, `jslt %r1, 5, label`, `lock fetch add [%r10-8], %r1`. What it
//                lacks is ours: lddw_map_fd and its like (instructions.def), ldabsw, ldindw.
//
// One more is only printed, since a line of it does not say which instruction it is:
//
//   Linux        what Linux's verifier and bpftool show behind the opcode: `w1 += 5`,
//                `r2 = map[id:7][0]+8`, `if r1 s> 0xfffffff9 goto pc+11`.
//
// User mode: allocates.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "isa/insn.hpp"

namespace ebpf::isa::text {

enum class Dialect : u8 { Llvm, Conformance, Linux };

// One instruction, without a line end. Empty when `insn` is no legal operation.
std::string print(const Insn& insn, Dialect dialect);

// The instruction of one line; jumps with numbers (`goto +0x3`), no labels, no comment. BadFormat
// when it is none, or when its operands do not fit it; in Linux's dialect always.
Result<Insn> parse(std::string_view line, Dialect dialect);

// A whole program: one instruction a line, `label:`, blank lines, comments (`#`, in LLVM's dialect
// also `//`). In the conformance dialect the first `exit` carries the label `exit`. The result is
// the slots. Errors carry the line, from 1: BadFormat, UnresolvedSymbol (a label that is nowhere),
// ObjectAlreadyExists (a label twice), TooLarge (more than isa::kMaxSlots).
Result<std::vector<std::byte>> assemble(std::string_view text, Dialect dialect);

// Every instruction on a line of its own, jumps as displacements; assemble() gives the slots back.
Result<std::string> disassemble(Bytes slots, Dialect dialect);

}  // namespace ebpf::isa::text
