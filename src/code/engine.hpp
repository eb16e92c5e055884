// SPDX-License-Identifier: MIT
//
// Between an engine and the execution context: how code is entered, what a running program carries
// with it, and the operations that an engine registers.
#pragma once

#include "code/code.hpp"

namespace ebpf::code {

struct Invocation;
struct Bounds;

// A helper as compiled code calls it: five registers and the invocation as hidden sixth argument.
using HelperFn = u64 (*)(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, Invocation* invocation);

// What a map's type does for bpf_map_lookup_elem(), called without the helper where the proof names
// the map: its handle, the key, and Invocation::slot. The value's address or 0.
using LookupFn = void* (*)(void* map, const void* key, u32 slot);

// A program as the execution context calls it: r1 and r2 at entry (r2 is the context's size where
// an embedder wants it, else 0). System V or Windows x64 convention, as the Target said.
using EntryFn = u64 (*)(void* r1, u64 r2, Invocation* invocation);

// Why a run ended early, in Invocation::fault. The program's result is then 0 and means nothing.
enum class Fault : u8 { None, OutOfFuel, CallTooDeep, BadHelper, Cancelled, BadAccess };
inline constexpr u32 kNeverCancelled = 0;
inline constexpr u64 kMaxMayGoto = u64{8} << 20;  // Linux's BPF_MAX_LOOPS
// What a fault says as an error; success for None.
Status fault_status(u64 fault);

// One run of a program, on the invoker's stack. Compiled code keeps its address in a register and
// looks only at fields whose offsets are fixed, and say so.
struct Invocation {
    // A tail call that succeeded: set by the helper, looked at after the call. The entry's frame
    // then leaves at once and the execution context enters the next program; in a subprogram the
    // frame calls `run_tail`, whose result is the subprogram's.
    const void* tail_pending = nullptr;                 // offset 0
    u64 (*run_tail)(Invocation* invocation) = nullptr;  // offset 8
    // Instructions left, for code that nobody verified. Looked at by the interpreter unless it is
    // all ones, and by machine code that was compiled with jit::Options::metered.
    u64 fuel = ~u64{0};  // offset 16
    u64 fault = 0;       // offset 24: a Fault, set by engines
    u32 frames = 0;      // offset 32: of the running program in use, where the engine counts them
    u32 locks_held = 0;  // of map values, by the helpers that take and give them back
    // The run ends with Fault::Cancelled some time after another thread made this not 0. Looked at
    // where fuel is: by a metered interpreter, and by code compiled with jit::Options::cancellable.
    const u32* cancel = &kNeverCancelled;  // offset 40
    // How often may_goto still goes on: in the whole run, with its subprograms, callbacks and tail
    // calls, since the verifier takes a pass for progress of every loop around it.
    u64 may_goto = kMaxMayGoto;  // offset 48
    // How a callback that belongs to an interpreted program is run; see call_function(). Set by the
    // interpreter for its programs' runs, else by who calls callbacks outside any run (timers).
    u64 (*call_interpreted)(Invocation* invocation, u64 function, const u64 args[5]) = nullptr;
    void* context = nullptr;        // offset 64: r1 at entry
    u64 context_size = 0;           // offset 72
    void* runtime = nullptr;        // the execution context's own state
    const void* program = nullptr;  // offset 88: the one running
    u32 slot = 0;                   // offset 96: execution slot, the CPU that programs see
    u32 tail_calls = 0;             // offset 100: done so far, at most kMaxTailCalls
    // Offset 104: not null for code that checks what the run accesses and calls (bounds.hpp).
    Bounds* bounds = nullptr;
};
inline constexpr u32 kMaxTailCalls = 33;

// An array of objects as compiled code sees it: slots of 8 bytes, each null or the address of a
// program (Invocation::program) or the handle of a map, and before the first the number of them.
// With it a lookup in an array of maps is a load, and a tail call through a prog array a jump.
// Where the jump is not possible (no such program, too many calls, an interpreted program), code
// calls the helper, which says what happens.
inline constexpr i32 kSlotCount = -8;     // a u32, from the first slot
inline constexpr i32 kProgramEntry = 80;  // an EntryFn, in a program; null if it is interpreted

// Bytes from one slot's values in a per-CPU array, which has so many, to the next slot's: whole
// cache lines.
constexpr u64 percpu_block(u64 values_bytes) {
    return (values_bytes + 63) & ~u64{63};
}

// A callback as programs hand it to helpers: the value of a two-slot instruction of kind Function.
// Of machine code it is the address of a HelperFn. Of an interpreted program it is the address of
// its first operation with bit 62 turned over, which makes it no address of either half of the
// address space: so one helper serves the programs of every engine.
inline constexpr u64 kInterpretedFunction = u64{1} << 62;
constexpr bool is_interpreted_function(u64 function) {
    return ((function >> 62 ^ function >> 63) & 1) != 0;
}

// Runs the callback `function` with r1 to r5 of `args` inside the run that `invocation` is about,
// and returns its r0. What helpers such as bpf_loop do. When the callback ended early, `fault` is
// set; the helper should then return, whatever it returns. An interpreted function needs
// `call_interpreted` (Fault::BadHelper without).
u64 call_function(Invocation* invocation, u64 function, const u64 args[5]);

// Answers what a relocation stands for; 0 is never an address.
struct Resolver {
    void* self = nullptr;
    Result<u64> (*resolve)(void* self, RelocKind kind, u32 index, u32 addend) = nullptr;
};

// An engine that the execution context can be built with. Machine code needs none: the runtime
// patches and places it itself.
struct EngineOps {
    EngineKind kind{};
    const char* name = nullptr;
    // Bytes that prepare() needs for `code`.
    Result<u64> (*prepared_size)(const CodeView& code) = nullptr;
    // Decodes `code` into `memory` (prepared_size bytes, 16-aligned) with everything resolved.
    Status (*prepare)(const CodeView& code, const Resolver& resolver,
                      MutableBytes memory) = nullptr;
    u64 (*run)(const void* prepared, void* r1, u64 r2, Invocation* invocation) = nullptr;
    // For Invocation::call_interpreted, where a callback is called outside a run.
    u64 (*call)(Invocation* invocation, u64 function, const u64 args[5]) = nullptr;
};

// Writes the resolved values into machine code at `text` (still writable, already at the address
// where it will run).
Status relocate(MutableBytes text, std::span<const Relocation> relocations,
                const Resolver& resolver);

}  // namespace ebpf::code
