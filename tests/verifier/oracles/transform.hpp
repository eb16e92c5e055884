// SPDX-License-Identifier: MIT
//
// The fourth oracle: the same program in another presentation. What a program does depends neither
// on which of the saved registers and which stack slots its variables got, nor on the order of
// independent instructions and of blocks, nor on how a condition is written, nor on whether a
// function calls it; so the verdict may not either.
#pragma once

#include <optional>

#include "ir/program.hpp"

namespace ebpf::verifier::oracle {

enum class Change : u8 {
    RenameRegisters,   // a permutation of r6 to r9
    MoveSlots,         // the whole frame lies lower
    UnusedVariable,    // another slot, written once
    InsertJumps,       // jumps to the next instruction
    SwapInstructions,  // neighbours that do not depend on each other
    ReorderBlocks,     // every block somewhere else, with jumps between them
    InvertConditions,  // if c goto x  ->  if !c goto +1; goto x
    MirrorConditions,  // a < b  ->  b > a
    CommuteSums,       // d = a; d += b  ->  d = b; d += a
    IntoFunction,      // the program becomes a function that the entry calls
};
inline constexpr int kChanges = 10;
const char* name(Change change);

// The program changed so, or nothing when it has no place for that. The order of what `seed`
// decides is the same on every machine.
std::optional<ir::Program> transform(const ir::Program& program, Change change, u64 seed);

}  // namespace ebpf::verifier::oracle
