// SPDX-License-Identifier: MIT
// The place in a type that a CO-RE relocation is about, and what can be asked about it; the same on
// both sides.
#pragma once

#include <vector>

#include "btf/core.hpp"

namespace ebpf::btf {

inline constexpr u32 kMaxCoreAccess = 64;  // libbpf: BPF_CORE_SPEC_MAX_LEN

// A part of a place that means something by itself; members without a name are skipped.
struct CoreStep {
    u32 type = 0;           // the structure that has the member, or the type of the element
    u32 index = 0;          // of the member, the element or the enumerator
    std::string_view name;  // of the member or the enumerator; empty: an element
};

struct CorePlace {
    u32 root = 0;  // as the relocation or the candidate names it
    std::vector<CoreStep> steps;
    u64 bit_offset = 0;
    u32 bit_size = 0;         // 0: not a bit field
    u32 type = 0;             // of what lies there
    bool is_unnamed = false;  // that is a member without a name
};

// Takes one of what is left of a budget. TooLarge when nothing is.
Status spend(u64& budget);

constexpr bool is_field_kind(CoreKind kind) {
    return kind <= CoreKind::FieldRshift;
}
constexpr bool is_enumerator_kind(CoreKind kind) {
    return kind == CoreKind::EnumvalExists || kind == CoreKind::EnumvalValue;
}

// Moves `place` to an element of type `element` (the first step: of an array of the root type).
Status add_element(const View& types, CorePlace& place, u32 element, u32 index);
// Whether the array is the last member of the structure that `place` is in, without a length.
bool is_flexible(const View& types, const CorePlace& place, const ArrayInfo& array);

// The place in the object's own types that `record` names. Errors: those of core_value.
Result<CorePlace> read_place(const View& types, const CoreRecord& record, CoreKind kind);

// An answer with its own side only.
struct CoreMeasure {
    u64 value = 0;
    bool is_fixed = true;  // the compiler has no choice
    u64 size = 0;          // FieldByteOffset of no bit field: of one element of what lies there
    u32 type = 0;
};
Result<CoreMeasure> measure(const View& types, const CorePlace& place, CoreKind kind);

}  // namespace ebpf::btf
