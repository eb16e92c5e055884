// SPDX-License-Identifier: MIT
// What a helper function is, as data (helpers.def).
#pragma once

#include <optional>
#include <string_view>

#include "spec/program_info.hpp"

namespace ebpf::spec {

// What holds for a helper in every dialect, and its number and callers in each.
struct HelperInfo {
    Helper id{};
    const char* name = nullptr;      // as C programs call it: "bpf_map_lookup_elem"
    const char* c_result = nullptr;  // C declaration for programs
    const char* c_parameters = nullptr;
    const char* text = nullptr;            // one line of documentation
    i32 number[kDialectCount] = {-1, -1};  // -1: the dialect has no such helper
    u64 callers[kDialectCount] = {0, 0};   // bit per canonical ProgramType
};

inline constexpr int kHelperCount = 0
#define HELPER(...) +1
#include "spec/helpers.def"
    ;

// Numbers of eBPF for Windows from here on belong to one program type.
inline constexpr u32 kFirstProgramTypeHelper = 0x10000;

// A dialect's number of a kernel function (Linux: kfunc), which programs call by name.
inline constexpr i32 kByName = 0x7fffffff;

// Why nothing implements the helper, as what could follow its name; null where something does, or
// no dialect has it (helper_absence.def).
const char* absence(Helper helper);

// The row of a helper.
const HelperInfo& info(Helper helper);

// The dialect's number of a helper, -1 when it has none; kByName of a kernel function.
i32 number(Dialect dialect, Helper helper);

// The dialect's prototype of a helper, or null when it has none.
const HelperProto* prototype(Dialect dialect, Helper helper);

// The general helper that a dialect calls `number`; not one of a program type's own
// (kFirstProgramTypeHelper), which find_helper() knows. 0 is nothing.
std::optional<Helper> helper_from_number(Dialect dialect, u32 number);

// The prototype that programs of `type` mean by calling `number` of its dialect, or null: then they
// may not call it. type.helpers is sorted by number.
constexpr const HelperProto* find_helper(const ProgramTypeInfo& type, u32 number) {
    std::size_t low = 0;
    std::size_t high = type.helpers.size();
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        const HelperProto* proto = type.helpers[middle];
        if (static_cast<u32>(proto->number) == number) return proto;
        if (static_cast<u32>(proto->number) < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return nullptr;
}

// What calls of the kernel function of that name have for its BTF id: FNV-1a in 31 bits, so that it
// is one in every process and version. Linux finds the name by the id, in its kernel's BTF.
constexpr u32 kfunc_id(std::string_view name) {
    u32 hash = 0x811c9dc5;
    for (const char c : name) hash = (hash ^ static_cast<u8>(c)) * 0x01000193;
    return hash & 0x7fffffff;
}

// The kernel function with that id, or null: in no dialect, or not for programs of `type`.
const HelperProto* find_kfunc(const ProgramTypeInfo& type, u32 id);

// Whether programs of some type of the dialect may call a kernel function of that name, and the
// runtime has it. Sources ask so before they call it: bpf_ksym_exists().
bool has_kfunc(Dialect dialect, std::string_view name);

}  // namespace ebpf::spec
