// SPDX-License-Identifier: MIT
// Built-in program types (program_types.def, contexts.def, helpers.def) as ProgramTypeInfo.
#pragma once

#include <optional>

#include "spec/guid.hpp"
#include "spec/program_info.hpp"

namespace ebpf::spec {

// Numbers and names of a program type; what programs of it may do is its ProgramTypeInfo.
struct ProgramTypeNames {
    ProgramType type{};
    i32 number[kDialectCount] = {-1, -1};                  // -1: the dialect has no such type
    const char* name[kDialectCount] = {nullptr, nullptr};  // as the dialect's tools print it
    Guid guid{};                 // eBPF for Windows'; null when it has none
    const char* text = nullptr;  // one line of documentation
};

inline constexpr int kProgramTypeCount = 0
#define PROGRAM_TYPE(...) +1
#include "spec/program_types.def"
    ;
static_assert(kProgramTypeCount <= 64, "helper tables hold sets of program types as 64 bits");

// The row of a type.
const ProgramTypeNames& info(ProgramType type);

// The dialect's number of a type, -1 when it has none.
i32 number(Dialect dialect, ProgramType type);

// The type that a dialect calls `number`, or that has this GUID. Unspec is no answer.
std::optional<ProgramType> program_type_from_number(Dialect dialect, u32 number);
std::optional<ProgramType> program_type_from_guid(const Guid& guid);

// What programs of a type are verified against, or null when the dialect has no such type.
const ProgramTypeInfo* program_info(Dialect dialect, ProgramType type);

// FNV-1a over everything that a proof rests on: names, context fields, return range, rules and the
// prototypes of all helpers. ProgramTypeInfo::hash of built-in types is this; an extension or an
// embedder that makes its own calls it. Addresses and the field `hash` itself do not count.
u64 hash(const ProgramTypeInfo& type);

}  // namespace ebpf::spec
