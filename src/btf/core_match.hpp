// SPDX-License-Identifier: MIT
// Which types of a target are what a program means by its own: libbpf's rules, as its documentation
// and the behaviour of its releases define them.
#pragma once

#include "btf/core_place.hpp"

namespace ebpf::btf {

// Whether a type of the target may stand for one of the program's by its kind: the same, but that
// all enums are alike.
bool same_core_kind(const Type& local, const Type& target);
// Whether names are the same without their flavours.
Result<bool> same_essential_name(const View& local, u32 local_name, const View& target,
                                 u32 target_name);

// Types are followed to a limited depth and within a budget: both sides are untrusted, and
// structures in structures could be walked for ever. Errors: TooLarge, and those of the views.
class CoreMatcher {
  public:
    CoreMatcher(const View& local, const View& target, u64& budget)
        : local_(local), target_(target), budget_(budget) {}

    // Whether a target's type exists as the program means it: the same kinds all the way through
    // pointers, arrays and prototypes, whatever is in structures and enums.
    Result<bool> is_compatible(u32 local, u32 target) { return compatible(local, target, 0); }
    // Whether all that the program's type has is in the target's: members of the same names and
    // types, enumerators of the same names.
    Result<bool> is_match(u32 local, u32 target) { return matches(local, target, false, 0); }
    // The place under the candidate `root` that is named as `wanted` is; false with a reason when
    // there is none.
    Result<bool> find_field(const CorePlace& wanted, u32 root, CorePlace& found,
                            CoreReason& reason);
    Result<bool> find_enumerator(const CorePlace& wanted, u32 root, CorePlace& found,
                                 CoreReason& reason);

  private:
    Result<bool> find_member(const CoreStep& wanted, const Type& type, CorePlace& found,
                             CoreReason& reason, u32 depth);
    Result<bool> fields_compatible(u32 local, u32 target);
    Result<bool> compatible(u32 local, u32 target, u32 depth);
    Result<bool> prototypes_compatible(const Type& local, const Type& target, u32 depth);
    Result<bool> matches(u32 local, u32 target, bool behind_pointer, u32 depth);
    Result<bool> prototypes_match(const Type& local, const Type& target, bool behind_pointer,
                                  u32 depth);
    Result<bool> structures_match(const Type& local, const Type& target, bool behind_pointer,
                                  u32 depth);
    Result<bool> has_match(const Member& member, const Type& target, bool behind_pointer,
                           u32 depth);
    Result<bool> enums_match(const Type& local, const Type& target);
    Result<bool> same_number(const Type& local, const Type& target) const;
    Result<bool> plain_integers(const Type& local, const Type& target) const;

    const View& local_;
    const View& target_;
    u64& budget_;
};

}  // namespace ebpf::btf
