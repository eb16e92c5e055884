// SPDX-License-Identifier: MIT
// From a verified, lowered program to machine code. Pure: maps no memory, keeps no state.
#pragma once

#include <vector>

#include "code/engine.hpp"
#include "ir/facts.hpp"
#include "ir/program.hpp"

namespace ebpf::jit {

enum class CallingConvention : u8 { SystemV, WindowsX64, Aapcs64 };
enum class UnwindFormat : u8 { None, Windows, Dwarf };  // unwind.hpp

// How much is done for fast code. Default: one pass, a few dozen nanoseconds an instruction.
// Optimise: the passes of optimise/passes.def first.
enum class Level : u8 { Default, Optimise };

// What the code is for; data, so that any host compiles for any other.
struct Target {
    code::Cpu cpu = code::Cpu::X86_64;
    CallingConvention convention = CallingConvention::SystemV;
    UnwindFormat unwind = UnwindFormat::None;
    bool bmi2 = false;  // x86-64: shlx, rorx and friends may be used

    static Target host();  // the machine and system that this is built for
};

// What else the code should do. All off: as fast as it can be. What a target lacks is
// Errc::Unsupported, never left out in silence.
struct Options {
    // Metered and checked code is that of the default level: what is counted, and what may fail,
    // are the program's instructions.
    Level level = Level::Default;
    // Invocation::fuel counts instructions: a basic block is paid for when it is entered, and one
    // that cannot be paid ends the run with Fault::OutOfFuel.
    bool metered = false;
    // Loops look at Invocation::cancel, once a round.
    bool cancellable = false;
    // No constant of the program stands in the code as it is (but shift counts and displacements,
    // which are less than 16 bits): each is put together from two halves that `blinding_seed`
    // decides, a number that nobody can guess.
    bool blind_constants = false;
    u64 blinding_seed = 0;
    // Indirect calls go by a return that the processor cannot be trained for ("retpoline"; Intel,
    // "Retpoline: A Branch Target Injection Mitigation").
    bool safe_indirect_calls = false;

    // For code that nobody verified: every access and call is checked against Invocation::bounds,
    // which must be there (code/bounds.hpp), as the interpreter does it: the run ends at the same
    // instruction with the same fault. (Where fuel ends is each engine's own: the interpreter pays
    // for a few instructions at once, machine code for a block.) Code of the default level.
    bool checked = false;

#if defined(CASEMENT_PLANTED)
    u32 planted = 0;  // planted.hpp
#endif

    bool optimises() const { return level == Level::Optimise && !metered && !checked; }
    bool can_end_early() const { return metered || cancellable; }
};

struct Output {
    code::Cpu cpu{};
    u32 entry = 0;
    u32 stack_bytes = 0;
    u32 map_count = 0;
    std::vector<std::byte> text;
    std::vector<code::Relocation> relocations;
    code::UnwindData unwind{};
    // Text offsets, for disassembly and profiles: of each instruction, ascending; of each function
    // (it begins before its first instruction), and where the last one ends.
    std::vector<u32> insn_offset;
    std::vector<u32> function_offset;

    code::CodeView view(u64 program_info_hash) const;
};

// Compiles `program` (all maps as WideKind::MapIndex*, helper numbers canonical after ir::lower, or
// the embedder's own with code::kCustomHelper). `facts` may be empty: then nothing is assumed, and
// every frame has isa::kStackSize bytes.
//
// How the code is entered: at `entry` as a code::EntryFn; the value of a Function64 relocation is
// the address of a code::HelperFn, so that a helper calls back with r1 to r5 and its own
// invocation. Both by the target's convention. `callx` reaches the embedder's helpers 0 to 255, by
// constants or through a table of them (a number without a helper ends the run with
// Fault::BadHelper).
//
// Nothing that is compiled can exhaust the native stack: where neither the shape of the calls nor
// Facts::max_call_depth bounds them by isa::kMaxCallDepth frames, frames are counted at run time
// and one too many ends the run with Fault::CallTooDeep. Output::stack_bytes says how much it is.
//
// With Target::unwind the text ends with the data of unwind.hpp, which says of every instruction
// how to get back to the caller.
//
// Errors name the instruction's slot; a form that the target cannot compile is Errc::Unsupported,
// never a wrong translation. InvalidArgument: facts of another program, a convention of another
// CPU.
Result<Output> compile(const ir::Program& program, const ir::Facts& facts, const Target& target,
                       const Options& options = {});

// A function `u64 (*)(void* memory, u64 size)` of the target's convention: it enters the code that
// is in place at `entry` (a code::EntryFn) with a copy of `initial` in its own stack frame, whose
// context and context_size are its arguments. It can be called by many threads at once, and
// recursively. The bytes can stand anywhere, are final, and hold the address of `entry`. Errors:
// Unsupported and InvalidArgument as compile().
struct Thunk {
    std::vector<std::byte> text;  // it is entered at its first byte
    code::UnwindData unwind{};
};
Result<Thunk> entry_thunk(const code::Invocation& initial, const void* entry, const Target& target);

}  // namespace ebpf::jit
