// SPDX-License-Identifier: MIT
//
// What the code generators of all CPUs have in common: the program, where they are in it, the
// labels of what they emit, and questions about the program that have the same answer on each.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <variant>

#include "code/code.hpp"
#include "code/engine.hpp"
#include "jit/analysis.hpp"
#include "jit/jit.hpp"

namespace ebpf::jit {

// Labels: one for each instruction, then these.
class Lowering {
  protected:
    Lowering(const ir::Program& program, const ir::Facts& facts, const Options& options,
             const Analysis& analysis)
        : program_(program),
          facts_(facts),
          options_(options),
          analysis_(analysis),
          insn_count_(static_cast<u32>(program.insns.size())),
          function_count_(static_cast<u32>(program.subprograms.size())),
          may_end_early_(analysis.count_frames || analysis.indexed_calls ||
                         options.can_end_early() || options.checked),
          uses_invocation_(analysis.calls_helpers || analysis.may_goto || may_end_early_),
          key_(options.blinding_seed) {}

    // Whether the function has the entry's frame; not where the program calls its entry itself.
    bool is_entry(u32 function) const { return function == 0 && !analysis_.entry_is_called; }
    // The function that begins at an instruction.
    u32 function_at(u32 insn) const;
    // Whether something other than the instruction before may come to `at` of the current function,
    // or that instruction is one which must have been paid for before it (checked code).
    bool starts_block(u32 at) const;
    // A jump as it is compiled: it goes to where it leads in the end, and
    //
    //     if a < b goto over; goto far; over: ...   is   if a >= b goto far; over: ...
    //
    // Where blocks are paid for or watched, nothing is left out.
    struct Branch {
        isa::Cond cond{};
        u32 target = 0;
        u32 leaves_out = 0;  // instructions after it that are part of it
    };
    Branch branch_at(u32 at) const;
    // Instructions from `at` to the end of its block.
    u32 block_length(u32 at) const;

    // What a two-slot instruction puts in its register: an address that the execution context fills
    // in (the addend is a label where kind is Function64), or nothing for a plain constant.
    // Unsupported for what has no address here, OutOfBounds for a map that the program lacks.
    Result<std::optional<code::Relocation>> address_of(const isa::Insn& insn, u32 target) const;

    // A lookup in a map that the proof names needs no helper. In an array, bounds and address of
    // the element are arithmetic.
    struct ArrayLookup {
        u32 map = 0;
        u32 entries = 0;
        u32 stride = 0;             // bytes from value to value, a multiple of 8
        u32 slot_stride = 0;        // of a per-CPU array: from one slot's values to the next's
        std::optional<i32> offset;  // of the value, where the key is a constant
    };
    // In an array of maps it is a load (code/engine.hpp).
    struct ObjectLookup {
        u32 map = 0;
    };
    // In any other map it is a call of the map's own code::LookupFn.
    struct OwnLookup {
        u32 map = 0;
    };
    using Lookup = std::variant<ArrayLookup, ObjectLookup, OwnLookup>;
    std::optional<Lookup> direct_lookup(const isa::Insn& call) const;

    // The prog array of the tail call at at_, where that can be a jump: out of the entry's frame,
    // through a map that the proof names. (A subprogram's caller goes on, as the program that it
    // was, and so has to be come back to.)
    std::optional<u32> tail_jump(const isa::Insn& call) const;

    // Bytes of the deepest chain of native frames, their helpers' own not included. `native_bytes`
    // is each function's; stubs lie before callbacks (`thunk`) and the entry (`entry`).
    u32 deepest_chain(std::span<const u32> native_bytes, u32 thunk, u32 entry) const;

    std::unexpected<Error> unsupported(const char* what, u64 arg = 0) const {
        return fail(Errc::Unsupported, at_insn(program_.slot_of[at_]), what, arg);
    }

    static constexpr u32 kFaults = static_cast<u32>(code::Fault::BadAccess) + 1;
    u32 function_label(u32 function) const { return insn_count_ + function; }
    u32 thunk_label(u32 function) const { return insn_count_ + function_count_ + function; }
    // The function's exit for each fault; that of None is for faults that are set already.
    u32 fault_label(u32 function, u32 fault) const {
        return insn_count_ + (2 + fault) * function_count_ + function;
    }
    // Labels that a code generator numbers itself, from 0.
    u32 own_label(u32 which) const { return insn_count_ + (2 + kFaults) * function_count_ + which; }

    // The map that a call of `helper` at at_ works on, where the proof names it.
    std::optional<u32> constant_map(const isa::Insn& call, spec::Helper helper) const;
    std::optional<ArrayLookup> array_lookup(u32 map) const;
    bool ends_payment(const isa::Insn& insn) const;
    // Where a jump to `target` leads in the end.
    u32 destination(u32 target) const;

    // The next of the numbers that hide constants (Options::blind_constants).
    u64 next_key();

    // The current function's exit for a fault, which it will have then.
    u32 fault_exit(code::Fault fault) {
        faults_ |= 1u << static_cast<u32>(fault);
        return fault_label(function_, static_cast<u32>(fault));
    }

    const ir::Program& program_;
    const ir::Facts& facts_;
    const Options& options_;
    const Analysis& analysis_;
    const u32 insn_count_;
    const u32 function_count_;
    const bool may_end_early_;    // a fault may be set by a callee
    const bool uses_invocation_;  // a register is kept for it
    u32 function_ = 0;            // being compiled
    u32 at_ = 0;                  // last instruction of the sequence being lowered
    u32 left_out_ = 0;            // after at_, by the branch there (Branch::leaves_out)
    u64 key_;                     // state of next_key()
    u32 faults_ = 0;              // exits that the function being compiled needs, a set of Fault
};

}  // namespace ebpf::jit
