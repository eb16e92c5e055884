// SPDX-License-Identifier: MIT
//
// The interpreter: pre-decoded, threaded, the reference that the other engines are compared with.
// It runs verified programs without checks; `fuel` bounds the others in time (instructions that
// became one operation are paid together, before it), and Invocation::bounds what they read and
// write (code/bounds.hpp; their stack and registers begin with zeros, r1 to r5 are 0 after calls,
// and atomic operations must be aligned).
//
// What it takes: CodeView::text is slots as isa::decode reads them. Each `call` of a helper has a
// Helper64 relocation at its offset, each two-slot instruction of kind MapIndex a Map64 and of kind
// MapIndexValue a MapValue64. Function addresses need none. Kfunc calls, packet loads (ABS, IND),
// descriptors and BTF ids are Errc::Unsupported: ir/ resolves them before. `callx` reaches the
// embedder's own helpers 0 .. 255 (index kCustomHelper | number), which prepare() looks up.
#pragma once

#include "code/engine.hpp"

namespace ebpf::interpreter {

using code::Fault;

// The relocations that prepare() asks for, made from lowered slots (helper numbers canonical or
// with kCustomHelper set, maps by index): in ascending order, the first out.size() of them in
// `out`. Returns how many there are. Errors: isa::decode's.
Result<u32> relocations_of(Bytes slots, std::span<code::Relocation> out);

// Registered with the runtime where a build wants an interpreter. `prepare` fails with what
// isa::decode reports, with BadJumpTarget (a jump out of the program or into a two-slot
// instruction), BadFormat (control can run off the end; a relocation that does not fit its
// instruction), UnresolvedSymbol and Unsupported, each at its slot.
extern const code::EngineOps kEngine;

}  // namespace ebpf::interpreter
