// SPDX-License-Identifier: MIT
#include "btf/core_match.hpp"

namespace ebpf::btf {
namespace {

constexpr u32 kMaxDepth = 32;  // libbpf's, of types in types

bool is_enum(const Type& type) {
    return type.kind == Kind::Enum || type.kind == Kind::Enum64;
}

bool is_forward_of(const Type& forward, const Type& type) {
    const Kind declared = forward.kind_flag ? Kind::Union : Kind::Struct;
    return forward.kind == Kind::Fwd && type.kind == declared;
}

Status limit(u32 depth) {
    if (depth < kMaxDepth) return {};
    return fail(Errc::TooLarge, {}, "depth of types for CO-RE", depth);
}

}  // namespace

bool same_core_kind(const Type& local, const Type& target) {
    return local.kind == target.kind || (is_enum(local) && is_enum(target));
}

Result<bool> same_essential_name(const View& local, u32 local_name, const View& target,
                                 u32 target_name) {
    TRY_ASSIGN(const std::string_view here, local.string(local_name));
    TRY_ASSIGN(const std::string_view there, target.string(target_name));
    return essential_name(here) == essential_name(there);
}

// Integers that describe a part of their bytes, as compilers before bit fields in members wrote
// them, are compatible with nothing.
Result<bool> CoreMatcher::plain_integers(const Type& local, const Type& target) const {
    TRY_ASSIGN(const IntInfo here, local_.integer(local));
    TRY_ASSIGN(const IntInfo there, target_.integer(target));
    return here.bit_offset == 0 && there.bit_offset == 0;
}

// --- Fields --------------------------------------------------------------------------------------

Result<bool> CoreMatcher::fields_compatible(u32 local, u32 target) {
    for (int step = 0; step < kMaxChain; ++step) {
        TRY(spend(budget_));
        TRY_ASSIGN(const Type here, local_.resolve(local));
        TRY_ASSIGN(const Type there, target_.resolve(target));
        if (here.is_struct_or_union() && there.is_struct_or_union()) return true;
        if (!same_core_kind(here, there)) return false;
        if (here.kind == Kind::Ptr || here.kind == Kind::Float) return true;
        if (here.kind == Kind::Int) return plain_integers(here, there);
        if (is_enum(here) || here.kind == Kind::Fwd) {
            TRY_ASSIGN(const std::string_view name, local_.name(here));
            TRY_ASSIGN(const std::string_view its_name, target_.name(there));
            if (name.empty() || its_name.empty()) return true;
            return essential_name(name) == essential_name(its_name);
        }
        if (here.kind != Kind::Array) return false;
        TRY_ASSIGN(const ArrayInfo array, local_.array(here));
        TRY_ASSIGN(const ArrayInfo its_array, target_.array(there));
        local = array.element;
        target = its_array.element;
    }
    return false;
}

Result<bool> CoreMatcher::find_member(const CoreStep& wanted, const Type& type, CorePlace& found,
                                      CoreReason& reason, u32 depth) {
    if (!type.is_struct_or_union()) return false;
    if (depth == kMaxCoreAccess)
        return fail(Errc::TooLarge, at_type(type.id), "depth of structures for CO-RE", depth);
    for (u32 i = 0; i < type.count; ++i) {
        TRY(spend(budget_));
        TRY_ASSIGN(const Member member, target_.member(type, i));
        TRY_ASSIGN(const std::string_view name, target_.string(member.name_offset));
        if (!name.empty() && name != wanted.name) continue;
        const u64 before = found.bit_offset;
        found.bit_offset += member.bit_offset;
        if (name.empty()) {
            TRY_ASSIGN(const Type inner, target_.resolve(member.type));
            TRY_ASSIGN(const bool inside, find_member(wanted, inner, found, reason, depth + 1));
            if (inside) return true;
            found.bit_offset = before;
            continue;
        }
        TRY_ASSIGN(const Type owner, local_.type(wanted.type));
        TRY_ASSIGN(const Member meant, local_.member(owner, wanted.index));
        TRY_ASSIGN(const bool compatible, fields_compatible(meant.type, member.type));
        if (!compatible) {
            found.bit_offset = before;
            reason.what = CoreReason::What::OtherMember;
            reason.type = type.id;
            return false;
        }
        found.steps.push_back({.type = type.id, .index = i, .name = name});
        found.bit_size = member.bit_size;
        found.type = member.type;
        return true;
    }
    return false;
}

Result<bool> CoreMatcher::find_field(const CorePlace& wanted, u32 root, CorePlace& found,
                                     CoreReason& reason) {
    found = {.root = root, .steps = {}, .type = root};
    for (u32 i = 0; i < wanted.steps.size(); ++i) {
        TRY(spend(budget_));
        const CoreStep& step = wanted.steps[i];
        TRY_ASSIGN(const Type type, target_.resolve(found.type));
        if (!step.name.empty()) {
            reason = {.what = CoreReason::What::NoMember, .type = type.id, .step = i};
            TRY_ASSIGN(const bool there, find_member(step, type, found, reason, 0));
            if (!there) return false;
            continue;
        }
        u32 element = root;
        if (i > 0) {
            reason = {.what = CoreReason::What::NoElement, .type = type.id, .step = i};
            if (type.kind != Kind::Array) return false;
            TRY_ASSIGN(const ArrayInfo array, target_.array(type));
            if (step.index >= array.count && !is_flexible(target_, found, array)) return false;
            element = array.element;
        }
        TRY(add_element(target_, found, element, step.index));
    }
    reason = {};
    return true;
}

Result<bool> CoreMatcher::find_enumerator(const CorePlace& wanted, u32 root, CorePlace& found,
                                          CoreReason& reason) {
    TRY_ASSIGN(const Type type, target_.resolve(root));
    const std::string_view name = essential_name(wanted.steps.at(0).name);
    found = {.root = root, .steps = {}, .type = type.id};
    for (u32 i = 0; is_enum(type) && i < type.count; ++i) {
        TRY(spend(budget_));
        TRY_ASSIGN(const Enumerator enumerator, target_.enumerator(type, i));
        TRY_ASSIGN(const std::string_view its_name, target_.string(enumerator.name_offset));
        if (essential_name(its_name) != name) continue;
        found.steps.push_back({.type = type.id, .index = i, .name = its_name});
        return true;
    }
    reason = {.what = CoreReason::What::NoEnumerator, .type = type.id};
    return false;
}

// --- Does the type exist? ------------------------------------------------------------------------

Result<bool> CoreMatcher::compatible(u32 local, u32 target, u32 depth) {
    for (;; ++depth) {
        TRY(limit(depth));
        TRY(spend(budget_));
        TRY_ASSIGN(const Type here, local_.resolve(local));
        TRY_ASSIGN(const Type there, target_.resolve(target));
        if (!same_core_kind(here, there)) return false;
        if (here.kind == Kind::Int) return plain_integers(here, there);
        if (here.kind == Kind::Void || here.is_struct_or_union() || is_enum(here) ||
            here.kind == Kind::Fwd) {
            return true;
        }
        if (here.kind == Kind::FuncProto) {
            TRY_ASSIGN(const bool same, prototypes_compatible(here, there, depth));
            if (!same) return false;
            local = here.ref();
            target = there.ref();
        } else if (here.kind == Kind::Ptr) {
            local = here.ref();
            target = there.ref();
        } else if (here.kind == Kind::Array) {
            TRY_ASSIGN(const ArrayInfo array, local_.array(here));
            TRY_ASSIGN(const ArrayInfo its_array, target_.array(there));
            local = array.element;
            target = its_array.element;
        } else {
            return false;
        }
    }
}

// The parameters; what is returned is the caller's.
Result<bool> CoreMatcher::prototypes_compatible(const Type& local, const Type& target, u32 depth) {
    if (local.count != target.count) return false;
    for (u32 i = 0; i < local.count; ++i) {
        TRY_ASSIGN(const Parameter here, local_.parameter(local, i));
        TRY_ASSIGN(const Parameter there, target_.parameter(target, i));
        TRY_ASSIGN(const bool same, compatible(here.type, there.type, depth + 1));
        if (!same) return false;
    }
    return true;
}

// --- Is it what the program believes? ------------------------------------------------------------

Result<bool> CoreMatcher::matches(u32 local, u32 target, bool behind_pointer, u32 depth) {
    for (;; ++depth) {
        TRY(limit(depth));
        TRY(spend(budget_));
        TRY_ASSIGN(const Type here, local_.resolve(local));
        TRY_ASSIGN(const Type there, target_.resolve(target));
        TRY_ASSIGN(const bool same_name,
                   same_essential_name(local_, here.name_offset, target_, there.name_offset));
        if (!same_name) return false;
        if (is_enum(here)) return enums_match(here, there);
        if (behind_pointer && (is_forward_of(here, there) || is_forward_of(there, here)))
            return true;
        if (here.kind != there.kind) return false;
        if (here.kind == Kind::Void) return true;
        if (here.kind == Kind::Fwd) return here.kind_flag == there.kind_flag;
        if (here.kind == Kind::Int) return same_number(here, there);
        if (here.is_struct_or_union()) {
            // What a pointer leads to may look different.
            if (behind_pointer) return true;
            return structures_match(here, there, behind_pointer, depth);
        }
        if (here.kind == Kind::Array) {
            TRY_ASSIGN(const ArrayInfo array, local_.array(here));
            TRY_ASSIGN(const ArrayInfo its_array, target_.array(there));
            if (array.count != its_array.count) return false;
            local = array.element;
            target = its_array.element;
            continue;
        }
        if (here.kind == Kind::FuncProto) {
            TRY_ASSIGN(const bool same, prototypes_match(here, there, behind_pointer, depth));
            if (!same) return false;
        } else if (here.kind == Kind::Ptr) {
            behind_pointer = true;
        } else {
            return false;
        }
        local = here.ref();
        target = there.ref();
    }
}

Result<bool> CoreMatcher::same_number(const Type& local, const Type& target) const {
    TRY_ASSIGN(const IntInfo here, local_.integer(local));
    TRY_ASSIGN(const IntInfo there, target_.integer(target));
    return local.size() == target.size() && here.is_signed() == there.is_signed();
}

Result<bool> CoreMatcher::prototypes_match(const Type& local, const Type& target,
                                           bool behind_pointer, u32 depth) {
    if (local.count != target.count) return false;
    for (u32 i = 0; i < local.count; ++i) {
        TRY_ASSIGN(const Parameter here, local_.parameter(local, i));
        TRY_ASSIGN(const Parameter there, target_.parameter(target, i));
        TRY_ASSIGN(const bool same, matches(here.type, there.type, behind_pointer, depth + 1));
        if (!same) return false;
    }
    return true;
}

Result<bool> CoreMatcher::structures_match(const Type& local, const Type& target,
                                           bool behind_pointer, u32 depth) {
    if (local.count > target.count) return false;
    for (u32 i = 0; i < local.count; ++i) {
        TRY_ASSIGN(const Member member, local_.member(local, i));
        TRY_ASSIGN(const bool found, has_match(member, target, behind_pointer, depth));
        if (!found) return false;
    }
    return true;
}

Result<bool> CoreMatcher::has_match(const Member& member, const Type& target, bool behind_pointer,
                                    u32 depth) {
    for (u32 i = 0; i < target.count; ++i) {
        TRY(spend(budget_));
        TRY_ASSIGN(const Member candidate, target_.member(target, i));
        TRY_ASSIGN(const bool same_name,
                   same_essential_name(local_, member.name_offset, target_, candidate.name_offset));
        if (!same_name) continue;
        TRY_ASSIGN(const bool same,
                   matches(member.type, candidate.type, behind_pointer, depth + 1));
        if (same) return true;
    }
    return false;
}

// By name; values may differ.
Result<bool> CoreMatcher::enums_match(const Type& local, const Type& target) {
    if (!is_enum(target) || local.size() != target.size() || local.count > target.count)
        return false;
    for (u32 i = 0; i < local.count; ++i) {
        TRY_ASSIGN(const Enumerator wanted, local_.enumerator(local, i));
        bool found = false;
        for (u32 n = 0; n < target.count && !found; ++n) {
            TRY(spend(budget_));
            TRY_ASSIGN(const Enumerator candidate, target_.enumerator(target, n));
            TRY_ASSIGN(found, same_essential_name(local_, wanted.name_offset, target_,
                                                  candidate.name_offset));
        }
        if (!found) return false;
    }
    return true;
}

}  // namespace ebpf::btf
