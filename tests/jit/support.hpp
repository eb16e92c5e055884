// SPDX-License-Identifier: MIT
//
// What the JIT's tests share: instructions by short names, programs from lists of them, code placed
// in executable memory, and a plain evaluator made of isa/'s semantics to compare with.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "code/engine.hpp"
#include "isa/insn.hpp"
#include "jit/jit.hpp"
#include "placed.hpp"

namespace ebpf::jit::test {

using isa::AluOp;
using isa::AtomicOp;
using isa::Cond;
using isa::EndianOp;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

// Instructions. Displacements are in slots, as in the encoding.
Insn alu(AluOp op, Width w, Reg dst, Reg src);
Insn alu_imm(AluOp op, Width w, Reg dst, i32 imm);
Insn mov(Reg dst, Reg src);
Insn mov_imm(Reg dst, i32 imm);
Insn load(Width w, Reg dst, Reg base, i16 off);
Insn load_sx(Width w, Reg dst, Reg base, i16 off);
Insn store(Width w, Reg base, i16 off, Reg src);
Insn store_imm(Width w, Reg base, i16 off, i32 imm);
Insn atomic(AtomicOp op, Width w, Reg base, i16 off, Reg src);
Insn jump(Cond cond, Width w, Reg dst, Reg src, i16 off);
Insn jump_imm(Cond cond, Width w, Reg dst, i32 imm, i16 off);
Insn ja(i32 off);
Insn call_helper(u32 number);
Insn call_local(i32 off);
Insn wide(isa::WideKind kind, Reg dst, u64 imm);
Insn exit();

using Insns = std::vector<Insn>;
Insns operator+(Insns a, const Insns& b);

// Encodes and decodes a well-formed list, for its targets and subprograms; with `map_count` maps.
ir::Program link(const Insns& insns, u32 map_count = 0);

Target system_v(bool bmi2 = false);
Target windows(bool bmi2 = false);
// Both conventions, with BMI2 where this machine has it and without.
std::vector<Target> all_targets();

// Compiles, which must succeed.
Output compiled(const ir::Program& program, const Target& target, const ir::Facts& facts = {});
// Compiles and runs; for programs without relocations.
u64 run(const Insns& insns, void* r1 = nullptr, u64 r2 = 0, const Target& target = system_v());

// Registers r0 to r9 after arithmetic, loads, stores and forward jumps over one-slot instructions.
using Registers = std::array<u64, 10>;
Registers evaluate(const Insns& insns, Registers r);
// A program that loads r0 to r9 from the array at r1, runs `insns` and stores the registers in
// `out` back.
Insns on_registers(const Insns& insns, u16 out = 0x3FF);

// The machine code, one instruction a line, in Intel's syntax; addresses are relative to the entry.
std::string disassemble(const Output& output);

}  // namespace ebpf::jit::test
