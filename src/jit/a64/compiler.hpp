// SPDX-License-Identifier: MIT
//
// The AArch64 code generator, made like the one for x86-64: one template per instruction over a
// fixed register map, sequences of peephole.hpp taken together, subprograms as native functions.
//
//     r0          x7, so that r1 to r5 are x0 to x4, where helpers take them
//     r6 to r9    x19 to x22
//     r10         sp, whose distance is known
//     x13 to x16  what the optimising level uses beyond these
//     x26         the invocation
//     x8 to x12   scratch; x17, too
//
// and what loops compute again and again (residents.cpp) in x5, x6, x23 to x25, x27, x28 and what
// is left of x13 to x16.
//
// What an instruction computes is often left to those that read it: values.hpp.
//
// A function's frame, from high to low: x29 and x30 where it calls, saved registers in pairs, BPF
// stack. Divisions need no checks: the machine's give 0 for a divisor of 0, and what is left over
// of a division that gives 0 is the dividend. Atomic operations are loops of exclusive loads and
// stores with a barrier behind them, which every ARMv8 has.
//
// Not here: Options::safe_indirect_calls (Unsupported).
#pragma once

#include <array>
#include <cstddef>

#include "jit/a64/values.hpp"
#include "jit/lowering.hpp"
#include "jit/peephole.hpp"
#include "jit/planted.hpp"
#include "jit/unwind.hpp"

namespace ebpf::jit::a64 {

inline constexpr u32 kFrameRecord = 32;  // bytes, see checks.cpp

// Per function, registers from kSpare on that nothing else uses: where it calls nobody.
std::vector<RegSet> spare_registers(const Analysis& analysis);

class Compiler : private Lowering {
  public:
    Compiler(const ir::Program& program, const ir::Facts& facts, const Target& target,
             const Options& options, const Analysis& analysis);
    Result<Output> run();

  private:
    static constexpr u32 kNearFrom = 400;  // instructions, of at most 20 words each
    static constexpr Gpr kResult = 0, kInvocation = 26, kTemp = 9, kTemp2 = 10, kTemp3 = 11,
                         kTemp4 = 12, kInvocationArg = 5, kEntryInvocationArg = 2;

    // compiler.cpp: functions, frames, limits, the result
    struct Saved {
        std::array<Gpr, 12> reg{};
        u32 count = 0;  // a multiple of 2
    };
    Saved saved(u32 function) const;
    u32 native_bytes(u32 function) const;
    // Changes of the frame, noted for the unwinder; x64/compiler.hpp has the same.
    void begin_frame();
    void end_frame() { stretches_.back().end = a_.here(); }
    void note(FrameStep::Kind kind, Gpr r = 0, u32 bytes = 0);
    void push(Gpr a, Gpr b);
    void pop(Gpr a, Gpr b);
    void grow_stack(u32 bytes);
    void shrink_stack(u32 bytes);
    void leave();
    code::UnwindData write_unwind(std::vector<std::byte>& text) const;
    // Whether the function has to save the return address.
    bool links(u32 function) const {
        return analysis_.functions[function].calls || options_.checked;
    }
    // Bytes above its BPF stack.
    u32 frame_record(u32 function) const {
        return options_.checked && analysis_.functions[function].uses_frame ? kFrameRecord : 0;
    }
    Status compile_function(u32 function);
    void prologue(u32 function);
    void epilogue(u32 function, Gpr result);
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

    // checks.cpp
    struct Place {
        Gpr base;
        i64 off;
        std::optional<Operand> index;
    };
    struct SlowCheck {
        Label label, back;
        u32 size;
        bool writes;
    };
    Place check_access(const Place& place, u32 size, bool writes, bool atomic = false);
    void slow_checks(u32 function);
    void ask_bounds();
    void open_checked_frame(u32 function);
    void close_checked_frame(u32 function);
    void clear_registers(RegSet which);
    void route_helper_call();

    // residents.cpp
    struct Resident {
        bool of_frame = false;
        u64 value = 0;  // or the distance from sp
        Gpr reg = 0;
    };
    std::optional<u64> constant_of(const isa::Insn& insn) const;
    void plan_residents(u32 function);
    void set_residents();
    void for_resident_saved(u32 function, Saved& saved) const;
    std::optional<Gpr> resident(u64 value) const;
    Gpr constant(u64 value);

    // lower.cpp
    Result<u32> lower(u32 at);
    u32 lower_sequence(u32 at);
    void begin(u32 at);
    Status lower_wide(const isa::Insn& insn, u32 target);

    // lower_alu.cpp
    void lower_alu_reg(const isa::Insn& insn);
    void lower_alu_with(const isa::Insn& insn, Gpr m);
    void lower_alu_imm(const isa::Insn& insn);
    void lower_with_constant(const isa::Insn& insn, u64 bits);
    bool lower_imm_form(const isa::Insn& insn, u64 bits);
    void lower_operation(const isa::Insn& insn, Values::Allowed allowed);
    bool lower_multiply_add(const isa::Insn& insn);
    void lower_product(const isa::Insn& insn);
    void lower_add_imm(Width w, Reg dst, i64 value);
    bool lower_mask(Width w, Reg dst, u64 mask);
    void lower_shift_imm(isa::AluOp op, Width w, Reg dst, u32 count);
    void lower_extension(const Extension& e);
    void lower_rotation(const Rotation& r);
    void lower_negation(const isa::Insn& insn);
    void lower_endian(const isa::Insn& insn);
    void set_constant(Reg dst, u64 value);
    // Perhaps by way of kTemp2.
    void put_constant(Gpr d, u64 value);

    // lower_memory.cpp
    Place place_of(Reg base, i64 off, Width w);
    void access(Access kind, Width w, Gpr t, const Place& place);
    void lower_load(const isa::Insn& insn);
    u32 lower_pair(u32 at);
    void lower_store(const isa::Insn& insn);
    void lower_atomic(const isa::Insn& insn);

    // lower_control.cpp
    void lower_jump(const isa::Insn& insn, u32 target);
    void lower_may_goto(u32 target);
    void jump(isa::Cond cond, Label target);
    void compare(const isa::Insn& insn, const Branch& branch);
    void compare_imm(const isa::Insn& insn, const Branch& branch);
    bool compare_form(isa::Cond cond, Width w, Gpr n, u64 bits);
    // The operand of a comparison with an immediate: of 12 bits, perhaps shifted by 12.
    struct CompareFields {
        bool negative, high;
        u32 size;
    };
    static std::optional<CompareFields> compare_fields(Width w, u64 bits);
    // Whether jumps that test a bit reach everything.
    bool tests_bits() const { return insn_count_ < kNearFrom && !options_.checked; }
    u32 lower_bit_test(const Sequence& s);
    void lower_exit();
    void settle_for_call(const isa::Insn& insn);
    Status lower_call(const isa::Insn& insn, u32 target);
    Status lower_call_reg(const isa::Insn& insn);
    void lower_lookup(const ArrayLookup& lookup);
    void lower_lookup(const ObjectLookup& lookup);
    void lower_lookup(const OwnLookup& lookup);
    void helper_call(u32 helper);
    void finish_helper_call();

    void load_field(Width w, Gpr t, std::size_t offset) {
        a_.access(Access::Load, w, t, kInvocation, static_cast<i64>(offset), kTemp3);
    }
    void store_field(Width w, Gpr t, std::size_t offset) {
        a_.access(Access::Store, w, t, kInvocation, static_cast<i64>(offset), kTemp3);
    }
    enum : u32 { kEntry, kHelperTable, kFunctionsEnd, kAskBounds, kOwnLabels };

    struct Stretch {  // a function's code, and its steps up to those of the next
        u32 begin = 0, end = 0, first_step = 0;
    };

    const Target& target_;
    Assembler a_;
    Values values_{a_};
    std::vector<Resident> residents_;     // of the function being compiled
    std::vector<SlowCheck> slow_checks_;  // likewise
    std::vector<RegSet> resident_saved_;  // per function, see residents.cpp
    std::vector<Stretch> stretches_;
    std::vector<FrameStep> steps_;
    std::vector<code::Relocation> table_;  // of helpers, behind the code
};

}  // namespace ebpf::jit::a64
