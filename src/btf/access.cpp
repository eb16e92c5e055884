// SPDX-License-Identifier: MIT
#include "btf/access.hpp"

namespace ebpf::btf {
namespace {

// Structures inside structures; the types are validated, but not how deep they go.
constexpr int kMaxDepth = 64;

std::unexpected<Error> outside(u32 structure, u64 offset) {
    return fail(Errc::OutOfBounds, at_type(structure), "bytes of one member", offset);
}

// The member of `type` that holds the bytes, which are counted from that member afterwards.
Result<Member> member_at(const View& types, const Type& type, u64& offset, u64 size) {
    for (u32 i = 0; i < type.count; ++i) {
        TRY_ASSIGN(const Member member, types.member(type, i));
        const u64 begin = member.bit_offset / 8;
        if (member.bit_size != 0) {
            const u64 end = (u64{member.bit_offset} + member.bit_size + 7) / 8;
            if (offset < end && offset + size > begin) {
                offset = 0;
                return member;
            }
            continue;
        }
        TRY_ASSIGN(u64 bytes, types.size_of(member.type));
        TRY_ASSIGN(const Type of_member, types.resolve(member.type));
        if (i + 1 == type.count && of_member.kind == Kind::Array) {
            TRY_ASSIGN(const ArrayInfo array, types.array(of_member));
            if (array.count == 0) bytes = ~u64{0} - begin;
        }
        if (offset < begin || offset + size > begin + bytes) continue;
        offset -= begin;
        return member;
    }
    return outside(type.id, offset);
}

}  // namespace

u32 pointed_structure(const View& types, u32 id) {
    const auto pointer = types.resolve(id);
    if (!pointer || pointer->kind != Kind::Ptr) return 0;
    auto target = types.type(pointer->ref());
    for (int n = 0; target && is_modifier(target->kind) && n < kMaxChain; ++n) {
        if (target->kind == Kind::TypeTag) {
            const auto tag = types.name(*target);
            if (!tag || *tag == "user" || *tag == "percpu") return 0;
        }
        target = types.type(target->ref());
    }
    return target && target->is_struct_or_union() ? target->id : 0;
}

Result<u32> loaded_structure(const View& types, u32 structure, u64 offset, u64 size) {
    TRY_ASSIGN(Type type, types.type(structure));
    if (size == 0 || offset + size < offset) return outside(structure, offset);
    for (int depth = 0; depth < kMaxDepth; ++depth) {
        TRY_ASSIGN(const Member member, member_at(types, type, offset, size));
        if (member.bit_size != 0) return 0;
        TRY_ASSIGN(Type inner, types.resolve(member.type));
        u32 id = member.type;
        for (int n = 0; inner.kind == Kind::Array && n < kMaxDepth; ++n) {
            TRY_ASSIGN(const ArrayInfo array, types.array(inner));
            TRY_ASSIGN(const u64 element, types.size_of(array.element));
            if (element == 0) return outside(type.id, offset);
            offset %= element;
            id = array.element;
            TRY_ASSIGN(inner, types.resolve(id));
            // Several elements at once are numbers, whatever they are.
            if (offset + size > element) {
                if (inner.kind == Kind::Ptr || inner.is_struct_or_union())
                    return outside(type.id, offset);
                return 0;
            }
        }
        if (inner.is_struct_or_union()) {
            type = inner;
            continue;
        }
        if (inner.kind != Kind::Ptr) return 0;
        if (offset != 0 || size != kPointerSize)
            return fail(Errc::BadFormat, at_type(type.id), "a whole pointer", offset);
        return pointed_structure(types, id);
    }
    return outside(structure, offset);
}

bool begins_with(const View& types, u32 structure, std::string_view name) {
    auto type = types.type(structure);
    for (int depth = 0; type && type->is_struct_or_union() && depth < kMaxDepth; ++depth) {
        const auto its_name = types.name(*type);
        if (its_name && *its_name == name) return true;
        if (type->count == 0) return false;
        const auto first = types.member(*type, 0);
        if (!first || first->bit_offset != 0 || first->bit_size != 0) return false;
        type = types.resolve(first->type);
    }
    return false;
}

}  // namespace ebpf::btf
