// SPDX-License-Identifier: MIT
//
// Between an engine and the execution context: how code is entered, what a running program carries
// with it, and the operations that an engine registers.
#pragma once

#include "code/code.hpp"

namespace ebpf::code {

struct Invocation;

// A helper as compiled code calls it: five registers and the invocation as hidden sixth argument.
using HelperFn = u64 (*)(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, Invocation* invocation);

// A program as the execution context calls it: r1 and r2 at entry (r2 is the context's size where
// an embedder wants it, else 0). System V or Windows x64 convention, as the Target said.
using EntryFn = u64 (*)(void* r1, u64 r2, Invocation* invocation);

// One run of a program, on the invoker's stack. Compiled code keeps its address in a register and
// looks only at the fields up to `tail_pending`, whose offsets are fixed.
struct Invocation {
    // A tail call that succeeded: set by the helper, looked at after the call. The entry's frame
    // then leaves at once and the execution context enters the next program; in a subprogram the
    // frame calls `run_tail`, whose result is the subprogram's.
    const void* tail_pending = nullptr;                 // offset 0
    u64 (*run_tail)(Invocation* invocation) = nullptr;  // offset 8
    void* context = nullptr;                            // r1 at entry
    u64 context_size = 0;
    void* runtime = nullptr;        // the execution context's own state
    const void* program = nullptr;  // the one running
    u32 slot = 0;                   // execution slot: the CPU number that programs see
    u32 tail_calls = 0;             // done so far, at most kMaxTailCalls
    u64 fuel = ~u64{0};  // interpreter: instructions left (for untrusted, unverified code)
    u64 fault = 0;       // interpreter: why it stopped early; see interpreter.hpp
    u32 frames = 0;      // interpreter: frames of the running program in use
};
inline constexpr u32 kMaxTailCalls = 33;

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
};

// Writes the resolved values into machine code at `text` (still writable, already at the address
// where it will run).
Status relocate(MutableBytes text, std::span<const Relocation> relocations,
                const Resolver& resolver);

}  // namespace ebpf::code
