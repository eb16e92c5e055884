// SPDX-License-Identifier: MIT
//
// The one check of type information, before anything relies on it. The rules are the kernel's
// (kernel/bpf/btf.c) where a program's safety or a reader's termination depends on them, and looser
// where object files differ from what a loader passes on: a .maps or .data section has size and
// offsets of zero until its symbols fill them in, and functions stand in .ksyms.
#include "btf/btf.hpp"

namespace ebpf::btf {
namespace {

constexpr u32 kMaxIntBytes = 16;

bool is_power_of_two_size(u32 size) {
    return size == 1 || size == 2 || size == 4 || size == 8;
}

}  // namespace

Status View::check_reference(u32 owner, u32 id) const {
    if (id >= offsets_.size()) return fail(Errc::OutOfBounds, at_type(owner), "type id", id);
    return {};
}

Status View::check_name(u32 owner, u32 offset) const {
    const auto text = string(offset);
    if (!text) return fail(text.error().code, at_type(owner), "name", offset);
    return {};
}

Status View::check_members(const Type& type) const {
    for (u32 i = 0; i < type.count; ++i) {
        TRY_ASSIGN(const Member m, member(type, i));
        TRY(check_name(type.id, m.name_offset));
        TRY(check_reference(type.id, m.type));
        TRY_ASSIGN(const u64 size, size_of(m.type));
        const u64 bits = m.bit_size != 0 ? m.bit_size : size * 8;
        if (m.bit_size > size * 8) return fail(Errc::BadFormat, at_type(type.id), "bit field", i);
        if (m.bit_size == 0 && !type.kind_flag && m.bit_offset % 8 != 0) {
            // Before kind_flag, a bit field's width stood in its Int: inside that Int, then.
            if (m.bit_offset > u64{type.size()} * 8) {
                return fail(Errc::OutOfBounds, at_type(type.id), "member outside its structure", i);
            }
            continue;
        }
        if (m.bit_offset + bits > u64{type.size()} * 8) {
            return fail(Errc::OutOfBounds, at_type(type.id), "member outside its structure", i);
        }
    }
    return {};
}

// Elements of the kinds that have some, besides members.
Status View::check_elements(const Type& type) const {
    for (u32 i = 0; i < type.count; ++i) {
        switch (type.kind) {
            case Kind::Enum:
            case Kind::Enum64: {
                TRY_ASSIGN(const Enumerator e, enumerator(type, i));
                TRY(check_name(type.id, e.name_offset));
                break;
            }
            case Kind::FuncProto: {
                TRY_ASSIGN(const Parameter p, parameter(type, i));
                TRY(check_name(type.id, p.name_offset));
                TRY(check_reference(type.id, p.type));
                break;
            }
            case Kind::Datasec: {
                TRY_ASSIGN(const SectionVariable v, variable(type, i));
                TRY(check_reference(type.id, v.type));
                TRY_ASSIGN(const Type var, this->type(v.type));
                if (var.kind != Kind::Var && var.kind != Kind::Func) {
                    return fail(Errc::BadFormat, at_type(type.id), "not a variable", v.type);
                }
                break;
            }
            case Kind::Void:
            case Kind::Int:
            case Kind::Ptr:
            case Kind::Array:
            case Kind::Struct:
            case Kind::Union:
            case Kind::Fwd:
            case Kind::Typedef:
            case Kind::Volatile:
            case Kind::Const:
            case Kind::Restrict:
            case Kind::Func:
            case Kind::Var:
            case Kind::Float:
            case Kind::DeclTag:
            case Kind::TypeTag:
                return fail(Errc::BadFormat, at_type(type.id), "elements in a type of kind",
                            static_cast<u64>(type.kind));
        }
    }
    return {};
}

Status View::check_type(const Type& type) const {
    TRY(check_name(type.id, type.name_offset));
    switch (type.kind) {
        case Kind::Int: {
            TRY_ASSIGN(const IntInfo info, integer(type));
            if (type.size() == 0 || type.size() > kMaxIntBytes ||
                info.bits + info.bit_offset > type.size() * 8 || info.bits == 0) {
                return fail(Errc::BadFormat, at_type(type.id), "size of an integer", type.size());
            }
            return check_elements(type);
        }
        case Kind::Float:
            if (type.size() == 0 || type.size() > kMaxIntBytes) {
                return fail(Errc::BadFormat, at_type(type.id), "size of a float", type.size());
            }
            return check_elements(type);
        case Kind::Enum:
        case Kind::Enum64:
            if (!is_power_of_two_size(type.size())) {
                return fail(Errc::BadFormat, at_type(type.id), "size of an enum", type.size());
            }
            return check_elements(type);
        case Kind::Struct:
        case Kind::Union:
            return check_members(type);
        case Kind::Array: {
            TRY_ASSIGN(const ArrayInfo info, array(type));
            TRY(check_reference(type.id, info.element));
            TRY(check_reference(type.id, info.index));
            TRY(size_of(type.id));
            return check_elements(type);
        }
        case Kind::Typedef:
        case Kind::Volatile:
        case Kind::Const:
        case Kind::Restrict:
        case Kind::TypeTag:
            TRY(check_reference(type.id, type.ref()));
            TRY(resolve(type.id));
            return check_elements(type);
        case Kind::Ptr:
            TRY(check_reference(type.id, type.ref()));
            return check_elements(type);
        case Kind::Var: {
            TRY(check_reference(type.id, type.ref()));
            TRY(resolve(type.ref()));
            TRY_ASSIGN(const Linkage where, linkage(type));
            if (where > Linkage::Extern) {
                return fail(Errc::BadFormat, at_type(type.id), "linkage", static_cast<u32>(where));
            }
            return check_elements(type);
        }
        case Kind::Func: {
            TRY(check_reference(type.id, type.ref()));
            TRY_ASSIGN(const Type proto, this->type(type.ref()));
            if (proto.kind != Kind::FuncProto) {
                return fail(Errc::BadFormat, at_type(type.id), "not a prototype", type.ref());
            }
            if (type.count > static_cast<u32>(Linkage::Extern)) {
                return fail(Errc::BadFormat, at_type(type.id), "linkage", type.count);
            }
            return {};
        }
        case Kind::FuncProto:
            TRY(check_reference(type.id, type.ref()));
            return check_elements(type);
        case Kind::DeclTag:
            TRY(check_reference(type.id, type.ref()));
            return check_elements(type);
        case Kind::Fwd:
        case Kind::Datasec:
            return check_elements(type);
        case Kind::Void:
            return {};
    }
    return {};
}

Status View::validate() const {
    for (u32 id = 1; id < offsets_.size(); ++id) {
        TRY_ASSIGN(const Type type, this->type(id));
        TRY(check_type(type));
    }
    return {};
}

}  // namespace ebpf::btf
