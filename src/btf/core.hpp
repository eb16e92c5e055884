// SPDX-License-Identifier: MIT
//
// CO-RE: relocations that ask about types ("how far into struct task_struct is pid?") and patch the
// answer into an instruction. A program says what it means by the names of its own types; the
// answer comes from the types of the kernel that it is for, the target. The rules are libbpf's,
// since compilers and authors rely on them:
//
//   - candidates are the target's types of the same kind (one enum is as good as another) and
//     essential name; a "___flavour" at the end of a name says nothing;
//   - members are found by name, also inside structures without a name, and must be of the same
//     kind; integers may differ in size and sign;
//   - candidates that answer differently are an error; those that do not fit drop out, also for
//     later questions about the same type;
//   - what has no answer is "no" where the question is whether something exists; any other
//     instruction is poisoned: it must not be reached.
//
// Without a target the answers come from the object's own types, as on a kernel that has these.
// https://docs.kernel.org/bpf/libbpf/libbpf_overview.html,
// https://docs.kernel.org/bpf/llvm_reloc.html
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "btf/types.hpp"
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

// Why a target has no answer, or no single one.
struct CoreReason {
    enum class What : u8 {
        None,
        NoType,
        OtherType,  // there is one, but not as the program believes
        NoMember,
        OtherMember,  // of another kind
        NoElement,    // behind the end of an array, or no array
        NoEnumerator,
        OtherSize,  // what a load of another size would change
        Ambiguous,
    };
    What what = What::None;
    u32 type = 0;         // of the target; NoMember to NoElement: the innermost that there is
    u32 step = 0;         // NoMember to NoElement: what is missing, as a part of the access
    u32 other_type = 0;   // Ambiguous: the second candidate
    u64 value = 0;        // Ambiguous: of the first candidate; OtherSize: bytes in the object
    u64 other_value = 0;  // of the second; in the target
};

struct CoreAnswer {
    // When not Ok nothing else counts, but a reason for AmbiguousTypes.
    Error error{};
    u64 value = 0;
    bool missing = false;  // there is none: the instruction is to be poisoned
    // What the compiler wrote into the instruction, by the object's own types, where it has no
    // choice.
    std::optional<u64> local{};
    // Bytes of the field here and there, for memory accesses; equal: nothing to do. A load of the
    // other size gives the same number only where may_resize.
    u64 local_size = 0;
    u64 size = 0;
    bool may_resize = false;
    CoreReason reason{};
};

// Answers the relocations of one object against a target.
class CoreResolver {
  public:
    // Both must outlive the resolver.
    CoreResolver(const View& local, const Types& target) : local_(local), target_(target) {}

    // The error may be: those of core_value; AmbiguousTypes; Unsupported for types without a
    // name; those of View::size_of for a type of the target; TooLarge when the questions of one
    // object cost too much. Answers are kept, so that asking again costs little.
    const CoreAnswer& resolve(const CoreRecord& record);
    // Why resolve() failed or has no answer for that record, in words and with names: "struct
    // task_struct has no member 'state'". Empty where no types are to blame.
    std::string explain(const CoreRecord& record) const;

  private:
    Result<CoreAnswer> answer(const CoreRecord& record);
    Result<CoreAnswer> ask(const CoreRecord& record, CoreKind kind);
    Result<std::vector<u32>*> candidates(u32 local_type);

    const View& local_;
    const Types& target_;
    // By type, access string and kind.
    std::map<std::tuple<u32, u32, u32>, CoreAnswer> answers_;
    // By type of the object: those types of the target that fitted all questions so far.
    std::map<u32, std::vector<u32>> candidates_;
    u64 budget_ = u64{1} << 24;  // types and members that may be looked at
    CoreAnswer too_many_;        // to questions that are not kept
};

// Writes the answer into the operand of `insn` that CO-RE patches: the immediate of an ALU
// instruction, the 64-bit constant, the offset of a memory access. False when the instruction is to
// be poisoned instead. BadFormat when it has no such operand, does not hold what the compiler must
// have written, or the value does not fit.
Result<bool> core_patch(isa::Insn& insn, CoreKind kind, const CoreAnswer& answer);

}  // namespace ebpf::btf
