// SPDX-License-Identifier: MIT
//
// The AArch64 code generator, made like the one for x86-64: one template per instruction over a
// fixed register map, sequences of peephole.hpp taken together, subprograms as native functions.
//
//     r0        x7, so that r1 to r5 are x0 to x4, where helpers take them
//     r6 to r9  x19 to x22
//     r10       x25; accesses to the frame go by sp, whose distance is known
//     x26       the invocation
//     x9 to x12 scratch
//
// A function's frame, from high to low: x29 and x30 where it calls, saved registers in pairs, BPF
// stack. Divisions need no checks: the machine's give 0 for a divisor of 0, and what is left over
// of a division that gives 0 is the dividend. Atomic operations are loops of exclusive loads and
// stores with a barrier behind them, which every ARMv8 has.
//
// Not here: Options::blind_constants and safe_indirect_calls (Unsupported).
#pragma once

#include <array>
#include <cstddef>

#include "jit/a64/assembler.hpp"
#include "jit/lowering.hpp"
#include "jit/peephole.hpp"

namespace ebpf::jit::a64 {

class Compiler : private Lowering {
  public:
    Compiler(const ir::Program& program, const ir::Facts& facts, const Options& options,
             const Analysis& analysis);
    Result<Output> run();

  private:
    static constexpr Gpr kReg[] = {7, 0, 1, 2, 3, 4, 19, 20, 21, 22, 25};
    static constexpr Gpr kResult = 0, kInvocation = 26, kTemp = 9, kTemp2 = 10, kTemp3 = 11,
                         kTemp4 = 12, kInvocationArg = 5, kEntryInvocationArg = 2;

    // compiler.cpp: functions, frames, limits, the result
    struct Saved {
        std::array<Gpr, 8> reg{};
        u32 count = 0;  // a multiple of 2
    };
    Saved saved(u32 function) const;
    u32 native_bytes(u32 function) const;
    Status compile_function(u32 function);
    void prologue(u32 function);
    void epilogue(u32 function);
    void callback_thunk(u32 function);
    void entry_stub();
    void take_invocation();
    void put_frames_back();
    void count_frame();
    void check_block(u32 at);
    void check_fault();
    void fault_exits(u32 function);
    void helper_table();
    Result<Output> finish();

    // lower.cpp
    Result<u32> lower(u32 at);
    u32 lower_sequence(u32 at);
    void lower_alu_reg(const isa::Insn& insn, Gpr src);
    void lower_alu_imm(const isa::Insn& insn);
    void lower_shift_imm(isa::AluOp op, Width w, Gpr d, u32 count);
    void lower_endian(const isa::Insn& insn);
    void lower_access(const isa::Insn& insn, Gpr base, i64 off);
    void lower_address(const Address& a);
    void lower_atomic(const isa::Insn& insn);
    void lower_jump(const isa::Insn& insn, u32 target);
    void lower_may_goto(u32 target);
    void compare(isa::Cond cond, Width w, Gpr a, Gpr b, Label target);
    void compare_imm(isa::Cond cond, Width w, Gpr a, i32 value, Label target);
    void add_imm(Width w, Gpr d, Gpr n, i64 value);
    Status lower_call(const isa::Insn& insn, u32 target);
    Status lower_call_reg(const isa::Insn& insn);
    void lower_array_lookup(const ArrayLookup& lookup);
    void helper_call(u32 helper);
    void finish_helper_call();
    Status lower_wide(const isa::Insn& insn, u32 target);

    static Gpr reg(isa::Reg r) { return kReg[r]; }
    void load_field(Width w, Gpr t, std::size_t offset) {
        a_.access(Access::Load, w, t, kInvocation, static_cast<i64>(offset), kTemp3);
    }
    void store_field(Width w, Gpr t, std::size_t offset) {
        a_.access(Access::Store, w, t, kInvocation, static_cast<i64>(offset), kTemp3);
    }
    enum : u32 { kEntry, kHelperTable, kFunctionsEnd, kOwnLabels };

    Assembler a_;
    std::vector<code::Relocation> table_;  // of helpers, behind the code
};

}  // namespace ebpf::jit::a64
