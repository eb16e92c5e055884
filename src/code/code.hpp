// SPDX-License-Identifier: MIT
//
// What is installed: position-independent bytes of one engine with the places that the execution
// context fills in (it alone knows its addresses). Views only, so that it can stand in a message,
// in an image or in a vector; validate() is the one check of all three before anything is used.
#pragma once

#include "base/error.hpp"

namespace ebpf::code {

// How the bytes are to be run.
enum class EngineKind : u8 { Interpreter, Jit, Native };
inline constexpr int kEngineCount = 3;

enum class Cpu : u8 { None, X86_64, AArch64 };

// What stands at a relocation's place. The numbers are part of the message format.
enum class RelocKind : u8 {
    Helper64 = 1,    // 8 bytes: address of the helper `index` (canonical spec::Helper, or an
                     //          extension's or embedder's own number with kCustomHelper set)
    Map64 = 2,       // 8 bytes: handle of map `index`
    MapValue64 = 3,  // 8 bytes: address of byte `addend` of the value of data-section map `index`
    Function64 = 4,  // 8 bytes: address of text offset `addend` (a callback, or a table)
    HelperOrNull64 = 5,  // machine code, 8 bytes: as Helper64, or 0 where there is none
    HelperNear32 = 6,    // machine code, 4 bytes: how far helper `index` is from behind them; as
                         //          they are (a detour that the text has) if more than 2 GiB
    ArrayValues64 = 7,   // machine code, 8 bytes: address of the first value of map `index`, an
                         //          array or per-CPU array of `addend` elements and no other
    ObjectSlots64 = 8,   // machine code, 8 bytes: address of the first slot of map `index`, a prog
                         //          array or an array of maps, as engine.hpp describes it
    Lookup64 = 9,        // machine code, 8 bytes: address of map `index`'s own code::LookupFn
    LookupNear32 = 10,   // machine code, 4 bytes: how far that is, as HelperNear32
};
inline constexpr u32 kCustomHelper = 0x8000'0000;
// The embedder's helpers that a call by register reaches: those with numbers below.
inline constexpr u32 kRegisterHelpers = 256;

// For an interpreter's code `offset` is that of the two-slot instruction or the call, and the
// engine keeps the resolved value in its decoded form; for machine code the bytes are patched.
struct Relocation {
    u32 offset = 0;
    RelocKind kind{};
    u8 reserved[3] = {};
    u32 index = 0;
    u32 addend = 0;
};
static_assert(sizeof(Relocation) == 16);

// Where in the text of machine code the system's unwinder finds how to walk through it (.eh_frame,
// or Windows' RUNTIME_FUNCTIONs, from the text's start). Size 0: it does not.
struct UnwindData {
    u32 offset = 0;
    u32 size = 0;
};

struct CodeView {
    EngineKind engine{};
    Cpu cpu = Cpu::None;        // None for an interpreter's
    u32 entry = 0;              // offset of the entry in text
    u32 stack_bytes = 0;        // native stack that an invocation needs at most
    u32 map_count = 0;          // relocations index maps below this
    u64 program_info_hash = 0;  // ProgramTypeInfo::hash that the proof was made against
    Bytes text{};  // Interpreter: 8-byte slots; else machine code, read-only once placed
    std::span<const Relocation> relocations{};  // in ascending order of offset
    UnwindData unwind{};
};

// Every offset inside, every kind known, relocations in ascending order and none overlapping (so
// that it needs no memory), entry and unwind data inside the text.
Status validate(const CodeView& code);

}  // namespace ebpf::code
