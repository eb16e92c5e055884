// SPDX-License-Identifier: MIT
//
// The x86-64 code generator: one template per instruction over a fixed register map (abi.hpp), with
// the few sequences of peephole.hpp taken together. A subprogram is an ordinary native function
// whose arguments are already in place: it saves what it uses of r6 to r10's registers, makes a
// frame for BPF's stack with r10 at its top, and returns.
//
//     entry (subprogram 0)    also saves and sets r12, and moves the native arguments into place
//     subprograms             follow in the program's order
//     callback thunks         one per subprogram whose address is taken: what a helper calls
//     entry stub              where the program calls its own entry: then that is a subprogram too
//
// Short loops are moved to where they lie in as few lines of the instruction cache as they can
// (CodeBuffer::start_loop); a loop that straddles a line takes up to twice as long.
//
// A function's frame, from high to low: return address, saved registers, BPF stack (r10 points
// above it), outgoing stack arguments; rsp stays 16-aligned in between.
#pragma once

#include <cstddef>
#include <map>

#include "jit/division.hpp"
#include "jit/lowering.hpp"
#include "jit/peephole.hpp"
#include "jit/planted.hpp"
#include "jit/unwind.hpp"
#include "jit/x64/abi.hpp"

namespace ebpf::jit::x64 {

// The machine's names for BPF's operations and conditions.
constexpr Arith arith_of(isa::AluOp op) {  // the five that both have
    switch (op) {
        case isa::AluOp::Add:
            return Arith::Add;
        case isa::AluOp::Sub:
            return Arith::Sub;
        case isa::AluOp::Or:
            return Arith::Or;
        case isa::AluOp::And:
            return Arith::And;
        default:
            return Arith::Xor;
    }
}

constexpr Cc condition_of(isa::Cond cond) {
    switch (cond) {
        case isa::Cond::Eq:
            return Cc::E;
        case isa::Cond::Ne:
            return Cc::NE;
        case isa::Cond::Gt:
            return Cc::A;
        case isa::Cond::Ge:
            return Cc::AE;
        case isa::Cond::Lt:
            return Cc::B;
        case isa::Cond::Le:
            return Cc::BE;
        case isa::Cond::SGt:
            return Cc::G;
        case isa::Cond::SGe:
            return Cc::GE;
        case isa::Cond::SLt:
            return Cc::L;
        case isa::Cond::SLe:
            return Cc::LE;
        case isa::Cond::Set:
            return Cc::NE;  // after a test instead of a comparison
    }
    return Cc::Always;
}

inline constexpr u32 kFrameRecord = 32;  // a code::StackFrame, of checked code

class Compiler : private Lowering {
  public:
    Compiler(const ir::Program& program, const ir::Facts& facts, const Target& target,
             const Options& options, const Analysis& analysis);
    Result<Output> run();

  private:
    // compiler.cpp: functions, frames and the result.
    struct Frame {
        u32 pushes = 0;
        u32 adjust = 0;  // bytes that rsp moves below the saved registers
        u32 native_bytes() const { return 8 + 8 * pushes + adjust; }
    };
    void plan_frame(u32 function);
    template <typename Visit>
    void for_saved(u32 function, Visit visit) const;
    template <typename Visit>
    void for_borrowed(Visit visit) const;
    void take_invocation();
    // Below BPF's stack: arguments of helpers, and what checked code keeps of the frame.
    u32 below_stack(u32 function) const;
    void drop_frame_count();
    void take_arguments();
    Status compile_function(u32 function);
    void prologue(u32 function);
    void epilogue(u32 function);
    void callback_thunk(u32 function);
    void entry_stub();
    // Changes of the frame, noted for the unwinder.
    void begin_frame();
    void end_frame() { stretches_.back().end = a_.code.here(); }
    void note(FrameStep::Kind kind, Gpr r = Gpr::Rax, u32 bytes = 0);
    void push(Gpr r);
    void pop(Gpr r);
    void grow_stack(u32 bytes);
    void shrink_stack(u32 bytes);
    void leave();
    void leave_to(Gpr entry);
    void take_down_frame(u32 function);
    code::UnwindData write_unwind(std::vector<std::byte>& text) const;

    // guards.cpp: ways to end early, and what the options add.
    static Mem field(std::size_t offset) { return {kInvocation, static_cast<i32>(offset)}; }
    void count_frame();
    void check_block(u32 at);
    void check_fault();
    void fault_exits(u32 function);
    void put_blinded(Gpr to, Width w, u64 value);
    bool lower_blinded(const isa::Insn& insn, u32 target);
    void call_indirect(Gpr target);
    void retpoline();
    void helper_table();
    Result<Output> finish();

    // checks.cpp
    struct SlowCheck {
        Label label, back;
        Mem mem;
        i32 size;
        bool writes;
    };
    void check_access(const isa::Insn& insn);
    void slow_checks(u32 function);
    void ask_bounds();
    void open_checked_frame(u32 function);
    void close_checked_frame(u32 function);
    void clear_registers(RegSet which);
    void forget_arguments();
    void call_helper_checked();

    // One instruction, or a sequence of them; returns how many.
    Result<u32> lower(u32 at);
    u32 lower_sequence(u32 at);

    // lower_alu.cpp
    void lower_alu_reg(const isa::Insn& insn);
    void lower_alu_imm(const isa::Insn& insn);
    void lower_shift_reg(const isa::Insn& insn);
    void lower_shift_imm(isa::AluOp op, Width w, Gpr dst, i64 count);
    void lower_mul_imm(Width w, Gpr dst, i32 value);
    void lower_movsx(const isa::Insn& insn);
    void lower_endian(const isa::Insn& insn);
    void lower_extension(const Extension& e);
    void lower_rotation(const Rotation& r);

    // lower_division.cpp
    struct PutAside;
    void lower_division(const isa::Insn& insn);
    void lower_division_imm(const isa::Insn& insn);
    void divide(const isa::Insn& insn);
    void divide_unsigned_imm(const isa::Insn& insn, u64 divisor);
    void divide_unsigned_imm32(const isa::Insn& insn, u32 divisor);
    void divide_unsigned_imm33(const isa::Insn& insn, const UnsignedMagic& magic);
    void divide_signed_imm(const isa::Insn& insn);
    void divide_signed_imm32(const isa::Insn& insn);
    PutAside put_aside(Gpr dst, Gpr divisor, bool keep_dividend);
    void put_back(const PutAside& aside);

    // lower_memory.cpp
    Mem memory(isa::Reg base, i32 disp) const { return {reg(base), disp}; }
    void lower_access(const isa::Insn& insn, Mem mem);
    void lower_address(const Address& a);
    void lower_use(const Address& a, Mem mem);
    void lower_atomic(const isa::Insn& insn);
    void lower_fetch_loop(const isa::Insn& insn);

    // lower_control.cpp
    void take_branch();
    bool flags_are_of(const isa::Insn& jump) const;
    void lower_jump(const isa::Insn& insn, u32 target);
    void lower_may_goto();
    Status lower_call(const isa::Insn& insn, u32 target);
    Status lower_call_reg(const isa::Insn& insn);
    void indexed_call(Gpr number);
    void lower_lookup(const ArrayLookup& lookup);
    void lower_lookup(const ObjectLookup& lookup);
    void lower_lookup(const OwnLookup& lookup);
    void pass_arguments();
    void helper_call(u32 helper);
    void lower_tail_call(const isa::Insn& insn);
    void jump_to_program(u32 array);
    void call_near(code::RelocKind kind, u32 index);
    void detours();
    Status lower_wide(const isa::Insn& insn, u32 target);

    Gpr reg(isa::Reg r) const { return abi_.reg[r]; }
    // Whether the register's BPF owner is still wanted after the current instruction.
    bool live_after(Gpr r) const;

    void relocate(Place place, code::RelocKind kind, u32 index, u32 addend = 0);
    enum : u32 { kEntry, kRetpoline, kHelperTable, kAskBounds, kEnd, kFunctionsEnd, kOwnLabels };
    // What follows an instruction's code.
    Label behind(u32 at) const { return at + 1 < insn_count_ ? at + 1 : own_label(kEnd); }

    struct PendingRelocation {
        Place place;
        code::Relocation relocation;  // its addend is a label where kind is Function64
    };

    // A function's code and its steps, up to those of the next one.
    struct Stretch {
        Place begin, end;
        u32 first_step = 0;
    };
    struct PendingStep {
        Place place;
        FrameStep step;
    };

    const Target& target_;
    const Abi& abi_;
    Assembler a_;
    std::vector<Stretch> stretches_;
    std::vector<PendingStep> steps_;
    std::vector<Frame> frames_;
    std::vector<PendingRelocation> relocations_;
    std::vector<SlowCheck> slow_checks_;
    std::map<std::pair<code::RelocKind, u32>, Label> detours_;  // see call_near()

    // The flags right behind the arithmetic that ended here: of this register in that width.
    struct Flags {
        Place place{~0u, 0};
        isa::Reg reg{};
        Width width{};
    };
    Flags flags_;
};

// The division's operands rax and rdx, kept in scratch registers where that is needed.
struct Compiler::PutAside {
    bool restore_rax = false;
    bool restore_rdx = false;
    Gpr dividend{};  // where dst's old value is, if it was to be kept
    Gpr divisor{};
};

}  // namespace ebpf::jit::x64
