// SPDX-License-Identifier: MIT
//
// CO-RE: relocations that ask about types ("how far into struct task_struct is pid?") and patch the
// answer into an instruction. Here the answers come from the object's own type information, as on a
// kernel whose types are exactly those that the program was compiled with. Matching against another
// BTF is not part of this yet.
#pragma once

#include "btf/btf.hpp"
#include "isa/insn.hpp"

namespace ebpf::btf {

// enum bpf_core_relo_kind of linux/bpf.h.
enum class CoreKind : u32 {
    FieldByteOffset = 0,
    FieldByteSize = 1,
    FieldExists = 2,
    FieldSigned = 3,
    FieldLshift = 4,
    FieldRshift = 5,
    TypeIdLocal = 6,
    TypeIdTarget = 7,
    TypeExists = 8,
    TypeSize = 9,
    EnumvalExists = 10,
    EnumvalValue = 11,
    TypeMatches = 12,
};
inline constexpr int kCoreKindCount = 13;

// What `record` asks about `types`, which must be validated. Errors (at the record's type):
// BadFormat for an access string that does not describe a place in the type, Unsupported for an
// unknown kind.
Result<u64> core_value(const View& types, const CoreRecord& record);

// Writes `value` into the operand of `insn` that CO-RE patches: the immediate of an ALU instruction
// or a store, the 64-bit constant, the offset of a memory access. BadFormat when the instruction
// has none or the value does not fit.
Status core_patch(isa::Insn& insn, CoreKind kind, u64 value);

}  // namespace ebpf::btf
