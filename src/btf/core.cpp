// SPDX-License-Identifier: MIT
#include "btf/core.hpp"

#include <limits>

namespace ebpf::btf {
namespace {

constexpr int kMaxAccess = 64;  // BPF_CORE_SPEC_MAX_LEN

// A place in a type, as an access string describes it.
struct Place {
    u64 bit_offset = 0;
    u32 bit_size = 0;  // 0: not a bit field
    u32 type = 0;
};

std::unexpected<Error> bad_access(const CoreRecord& record, const char* what, u64 arg = 0) {
    return fail(Errc::BadFormat, at_type(record.type), what, arg);
}

// The numbers of "0:1:2", one after the other.
class AccessString {
  public:
    explicit AccessString(std::string_view text) : rest_(text) {}
    bool at_end() const { return rest_.empty(); }

    Result<u32> next(const CoreRecord& record) {
        u64 value = 0;
        std::size_t used = 0;
        while (used < rest_.size() && rest_[used] >= '0' && rest_[used] <= '9') {
            value = value * 10 + static_cast<u64>(rest_[used++] - '0');
            if (value > std::numeric_limits<u32>::max()) break;
        }
        if (used == 0 || value > std::numeric_limits<u32>::max()) {
            return bad_access(record, "number in a CO-RE access string");
        }
        rest_.remove_prefix(used);
        if (!rest_.empty()) {
            if (rest_[0] != ':' || rest_.size() == 1) {
                return bad_access(record, "separator in a CO-RE access string");
            }
            rest_.remove_prefix(1);
        }
        return static_cast<u32>(value);
    }

  private:
    std::string_view rest_;
};

Result<AccessString> access_of(const View& types, const CoreRecord& record) {
    const auto text = types.string(record.access);
    if (!text) return bad_access(record, "CO-RE access string", record.access);
    if (text->empty()) return bad_access(record, "empty CO-RE access string");
    return AccessString(*text);
}

Result<Place> find_place(const View& types, const CoreRecord& record) {
    TRY_ASSIGN(AccessString access, access_of(types, record));
    // The first number indexes an array of the root type; 0 but for pointer arithmetic.
    TRY_ASSIGN(const u32 first, access.next(record));
    TRY_ASSIGN(const u64 root_size, types.size_of(record.type));
    Place place{.bit_offset = first * root_size * 8, .type = record.type};

    for (int depth = 1; !access.at_end(); ++depth) {
        if (depth == kMaxAccess) return bad_access(record, "a CO-RE access string too long");
        TRY_ASSIGN(const u32 index, access.next(record));
        TRY_ASSIGN(const Type type, types.resolve(place.type));
        if (type.is_struct_or_union()) {
            const auto member = types.member(type, index);
            if (!member) return bad_access(record, "member in a CO-RE access string", index);
            place.bit_offset += member->bit_offset;
            place.bit_size = member->bit_size;
            place.type = member->type;
        } else if (type.kind == Kind::Array) {
            TRY_ASSIGN(const ArrayInfo array, types.array(type));
            // A flexible array has no bound; that of others is the compiler's business too.
            TRY_ASSIGN(const u64 size, types.size_of(array.element));
            place.bit_offset += index * size * 8;
            place.bit_size = 0;
            place.type = array.element;
        } else {
            return bad_access(record, "CO-RE access into a type of kind",
                              static_cast<u64>(type.kind));
        }
        if (place.bit_offset > u64{1} << 40) return bad_access(record, "CO-RE offset");
    }
    return place;
}

Result<u64> is_signed(const View& types, const Place& place) {
    TRY_ASSIGN(const Type type, types.resolve(place.type));
    if (type.kind == Kind::Int) {
        TRY_ASSIGN(const IntInfo info, types.integer(type));
        return info.is_signed() ? 1 : 0;
    }
    if (type.kind == Kind::Enum || type.kind == Kind::Enum64) return type.kind_flag ? 1 : 0;
    return u64{0};
}

// A field as a program loads it: `byte_size` bytes at `byte_offset` that hold all its bits.
Result<u64> field_value(const View& types, const CoreRecord& record, CoreKind kind) {
    TRY_ASSIGN(const Place place, find_place(types, record));
    if (kind == CoreKind::FieldExists) return u64{1};
    if (kind == CoreKind::FieldSigned) return is_signed(types, place);

    TRY_ASSIGN(u64 byte_size, types.size_of(place.type));
    u64 byte_offset = place.bit_offset / 8;
    u64 bit_size = byte_size * 8;
    if (place.bit_size != 0) {
        bit_size = place.bit_size;
        if (byte_size == 0) return bad_access(record, "bit field of an empty type");
        byte_offset = place.bit_offset / 8 / byte_size * byte_size;
        while (place.bit_offset + bit_size - byte_offset * 8 > byte_size * 8) {
            if (byte_size >= 8) return bad_access(record, "bit field across 8 bytes");
            byte_size *= 2;
            byte_offset = place.bit_offset / 8 / byte_size * byte_size;
        }
    }
    if (kind == CoreKind::FieldByteOffset) return byte_offset;
    if (kind == CoreKind::FieldByteSize) return byte_size;
    if (bit_size == 0 || bit_size > 64) return bad_access(record, "shift for bits", bit_size);
    if (kind == CoreKind::FieldRshift) return 64 - bit_size;
    return 64 - (place.bit_offset + bit_size - byte_offset * 8);
}

Result<u64> enumerator_value(const View& types, const CoreRecord& record, CoreKind kind) {
    TRY_ASSIGN(AccessString access, access_of(types, record));
    TRY_ASSIGN(const u32 index, access.next(record));
    TRY_ASSIGN(const Type type, types.resolve(record.type));
    const auto value = types.enumerator(type, index);
    if (!value || !access.at_end()) return bad_access(record, "enumerator of a CO-RE relocation");
    return kind == CoreKind::EnumvalExists ? u64{1} : value->value;
}

template <typename T>
bool fits(u64 value) {
    return static_cast<u64>(static_cast<i64>(static_cast<T>(value))) == value;
}

}  // namespace

Result<u64> core_value(const View& types, const CoreRecord& record) {
    TRY(types.type(record.type));
    if (record.kind >= kCoreKindCount) {
        return fail(Errc::Unsupported, at_type(record.type), "kind of CO-RE relocation",
                    record.kind);
    }
    const auto kind = static_cast<CoreKind>(record.kind);
    switch (kind) {
        case CoreKind::FieldByteOffset:
        case CoreKind::FieldByteSize:
        case CoreKind::FieldExists:
        case CoreKind::FieldSigned:
        case CoreKind::FieldLshift:
        case CoreKind::FieldRshift:
            return field_value(types, record, kind);
        case CoreKind::TypeIdLocal:
        case CoreKind::TypeIdTarget:
            return record.type;
        case CoreKind::TypeExists:
        case CoreKind::TypeMatches:
            return u64{1};
        case CoreKind::TypeSize:
            return types.size_of(record.type);
        case CoreKind::EnumvalExists:
        case CoreKind::EnumvalValue:
            return enumerator_value(types, record, kind);
    }
    return fail(Errc::Unsupported, at_type(record.type), "kind of CO-RE relocation", record.kind);
}

Status core_patch(isa::Insn& insn, CoreKind kind, u64 value) {
    switch (insn.form) {
        case isa::Form::AluImm:
            // A 32-bit operation, or an unsigned answer, takes all values of 32 bits.
            if (!fits<i32>(value) && !(fits<u32>(value) && !insn.is64())) {
                return fail(Errc::BadFormat, {}, "CO-RE value does not fit the immediate", value);
            }
            insn.imm = static_cast<i32>(static_cast<u32>(value));
            return {};
        case isa::Form::Load:
        case isa::Form::LoadSx:
        case isa::Form::StoreReg:
        case isa::Form::StoreImm:
            if (kind != CoreKind::FieldByteOffset || value > 0x7fff) {
                return fail(Errc::BadFormat, {}, "CO-RE value does not fit the offset", value);
            }
            insn.off = static_cast<i16>(value);
            return {};
        case isa::Form::Wide:
            if (insn.wide() != isa::WideKind::Imm64) break;
            insn.imm = static_cast<i64>(value);
            return {};
        case isa::Form::AluReg:
        case isa::Form::Neg:
        case isa::Form::MovSx:
        case isa::Form::Endian:
        case isa::Form::Atomic:
        case isa::Form::JmpReg:
        case isa::Form::JmpImm:
        case isa::Form::Ja:
        case isa::Form::Call:
        case isa::Form::CallReg:
        case isa::Form::Exit:
        case isa::Form::LegacyLoad:
            break;
    }
    return fail(Errc::BadFormat, {}, "CO-RE relocation of an instruction without such an operand");
}

}  // namespace ebpf::btf
