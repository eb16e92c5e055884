// SPDX-License-Identifier: MIT
//
// A program as everything after the parsers sees it: decoded instructions with resolved targets,
// its subprograms, its maps and where it came from. Plain data; no pointer into the file it came
// from.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "isa/insn.hpp"
#include "spec/map_types.hpp"
#include "spec/program_info.hpp"

namespace ebpf::ir {

enum class Pinning : u8 { None, ByName };

// A map that a program refers to. `initial` holds the bytes of a data section's single element.
struct MapDef {
    static constexpr i32 kNoInner = -1;

    std::string name;
    spec::MapType type{};
    u32 key_size = 0;
    u32 value_size = 0;
    u32 max_entries = 0;
    u32 flags = 0;         // BPF_F_*, Linux's bits
    u32 extra = 0;         // map_extra: what the map type makes of it
    i32 inner = kNoInner;  // index of the template of an inner map in the same table
    Pinning pinning = Pinning::None;
    u32 key_type = 0;  // BTF type ids, 0 = unknown
    u32 value_type = 0;
    bool is_data_section = false;
    bool read_only = false;  // programs may not write it (.rodata)
    bool frozen = false;     // its content can no longer change: the verifier may rely on `initial`
    std::vector<std::byte> initial;  // empty: zeros (.bss); else value_size bytes

    // BTF of the value: offset of a bpf_spin_lock or bpf_timer in it, -1 if none.
    i32 spin_lock_offset = -1;
    i32 timer_offset = -1;

    // Whether programs may read the map's elements and change none.
    bool programs_only_read() const {
        return read_only || (flags & spec::kMapReadOnlyProgram) != 0;
    }
};

// A function of the program: [begin, end) in instruction indices. subprograms[0] is the entry.
struct Subprogram {
    u32 begin = 0;
    u32 end = 0;
    std::string name;
    bool is_global = false;  // verified on its own by Linux; a static one in its caller's context
    u32 btf_type = 0;        // BTF FUNC, 0 = unknown
};

struct SourceLine {
    u32 insn = 0;  // first instruction (index) that it covers
    u32 file = 0;  // index into Program::files
    u32 line = 0;
    u32 column = 0;
    std::string text;  // the line itself, as the compiler recorded it; may be empty
    u32 btf_file = 0;  // where both stand in the object's BTF strings, 0 = unknown
    u32 btf_text = 0;
};

// An instruction that cannot do what it is for: a CO-RE relocation of it asked for what the types
// that the program was put together for do not have. In its place stands a call of a helper that
// does not exist, under the number that libbpf uses ("bad relo"): the program must not get there.
struct MissingAnswer {
    u32 insn = 0;
    std::string what;  // "struct task_struct has no member 'state'"
};
inline constexpr u32 kPoisonedCall = 0x0bad2310;

inline constexpr u32 kNoTarget = ~0u;

// Instruction indices count Insns (a two-slot instruction is one); `slot_of` gives slots back.
struct Program {
    std::string name;  // function name
    std::string section;
    std::string object;  // file or object name, for messages
    spec::Dialect dialect{};
    spec::ProgramType type{};
    spec::AttachType attach{};
    std::string license;

    std::vector<isa::Insn> insns;
    std::vector<u32> slot_of;  // insns.size() + 1 entries
    std::vector<u32> target;  // jump, local call, or callback address: target index, else kNoTarget
    std::vector<Subprogram> subprograms;
    std::vector<MapDef> maps;            // WideKind::MapIndex* index this
    std::vector<std::string> kfuncs;     // names of those that are called (spec::kfunc_id)
    std::vector<MissingAnswer> missing;  // sorted by insn; of kPoisonedCalls, not of all perhaps

    std::vector<std::string> files;
    std::vector<SourceLine> lines;  // sorted by insn

    // The line that covers instruction `insn`, or nullptr.
    const SourceLine* line_at(u32 insn) const;
    // What a poisoned instruction lacks, or nullptr when nobody said so.
    const std::string* missing_at(u32 insn) const;
    // Index of the subprogram that contains `insn`.
    u32 subprogram_at(u32 insn) const;
};

// Decodes raw slots, resolves targets and finds subprograms (entry, then local-call and callback
// targets in address order). Errors: those of isa::decode, BadJumpTarget (outside the program, into
// the middle of a two-slot instruction, or across a subprogram's border), BadFormat when control
// can run off the end, TooLarge. Nothing else about the program is known: maps are the caller's.
Result<Program> decode_program(Bytes slots);

// The parts of decode_program, for a linker that puts functions from several places together.
// decode_insns: errors of isa::decode (at slots of `slots`), Truncated, TooLarge.
Result<std::vector<isa::Insn>> decode_insns(Bytes slots);
// From insns alone: fills slot_of and target, cuts the code into subprograms at call and callback
// targets and at those subprograms' begins that are there already (their names are kept; ends are
// set). Errors: BadJumpTarget, BadFormat, TooLarge, at slots of the whole program.
Status resolve_control_flow(Program& program);

// The bytes that decode_program reads; targets are written back as displacements.
Result<std::vector<std::byte>> encode_program(const Program& program);

}  // namespace ebpf::ir
