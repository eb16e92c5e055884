// SPDX-License-Identifier: MIT
#include "btf/core_place.hpp"

#include <limits>

namespace ebpf::btf {
namespace {

constexpr u64 kMaxBits = u64{1} << 40;  // far beyond any object; keeps sums exact

std::unexpected<Error> bad_access(u32 type, const char* what, u64 arg = 0) {
    return fail(Errc::BadFormat, at_type(type), what, arg);
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
            return bad_access(record.type, "number in a CO-RE access string");
        }
        rest_.remove_prefix(used);
        if (!rest_.empty()) {
            if (rest_[0] != ':' || rest_.size() == 1) {
                return bad_access(record.type, "separator in a CO-RE access string");
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
    if (!text) return bad_access(record.type, "CO-RE access string", record.access);
    if (text->empty()) return bad_access(record.type, "empty CO-RE access string");
    return AccessString(*text);
}

Status add_member(const View& types, CorePlace& place, const Type& type, u32 index) {
    const auto member = types.member(type, index);
    if (!member) return bad_access(type.id, "member in a CO-RE access string", index);
    TRY_ASSIGN(const std::string_view name, types.string(member->name_offset));
    place.is_unnamed = name.empty();
    if (!name.empty()) place.steps.push_back({.type = type.id, .index = index, .name = name});
    place.bit_offset += member->bit_offset;
    place.bit_size = member->bit_size;
    place.type = member->type;
    return {};
}

Result<CorePlace> read_field(const View& types, const CoreRecord& record) {
    TRY_ASSIGN(AccessString access, access_of(types, record));
    // The first number indexes an array of the root type; 0 but for pointer arithmetic.
    TRY_ASSIGN(const u32 first, access.next(record));
    CorePlace place{.root = record.type, .steps = {}};
    TRY(add_element(types, place, record.type, first));
    for (u32 depth = 1; !access.at_end(); ++depth) {
        if (depth == kMaxCoreAccess)
            return bad_access(record.type, "a CO-RE access string too long");
        TRY_ASSIGN(const u32 index, access.next(record));
        TRY_ASSIGN(const Type type, types.resolve(place.type));
        if (type.is_struct_or_union()) {
            TRY(add_member(types, place, type, index));
        } else if (type.kind == Kind::Array) {
            // That the index is inside is the compiler's business.
            TRY_ASSIGN(const ArrayInfo array, types.array(type));
            TRY(add_element(types, place, array.element, index));
        } else {
            return bad_access(record.type, "CO-RE access into a type of kind",
                              static_cast<u64>(type.kind));
        }
    }
    return place;
}

Result<CorePlace> read_enumerator(const View& types, const CoreRecord& record) {
    TRY_ASSIGN(AccessString access, access_of(types, record));
    TRY_ASSIGN(const u32 index, access.next(record));
    TRY_ASSIGN(const Type type, types.resolve(record.type));
    const auto enumerator = types.enumerator(type, index);
    if (!enumerator || !access.at_end())
        return bad_access(record.type, "enumerator of a CO-RE relocation");
    TRY_ASSIGN(const std::string_view name, types.string(enumerator->name_offset));
    CorePlace place{.root = record.type, .steps = {}, .type = type.id};
    place.steps.push_back({.type = type.id, .index = index, .name = name});
    return place;
}

Result<u64> is_signed(const View& types, const CorePlace& place) {
    TRY_ASSIGN(const Type type, types.resolve(place.type));
    if (type.kind == Kind::Int) {
        TRY_ASSIGN(const IntInfo info, types.integer(type));
        return info.is_signed() ? 1 : 0;
    }
    if (type.kind == Kind::Enum || type.kind == Kind::Enum64) return type.kind_flag ? 1 : 0;
    return u64{0};
}

// What a memory access moves: one element, if there are several.
Status measure_element(const View& types, const CorePlace& place, CoreMeasure& out) {
    u32 id = place.type;
    for (int step = 0; step < kMaxChain; ++step) {
        TRY_ASSIGN(const Type type, types.resolve(id));
        if (type.kind != Kind::Array) {
            out.type = type.id;
            break;
        }
        TRY_ASSIGN(const ArrayInfo array, types.array(type));
        id = array.element;
    }
    TRY_ASSIGN(out.size, types.size_of(id));
    return {};
}

// A field as a program loads it: `byte_size` bytes at `byte_offset` that hold all its bits.
Result<CoreMeasure> measure_field(const View& types, const CorePlace& place, CoreKind kind) {
    CoreMeasure out;
    if (kind == CoreKind::FieldExists) {
        out.value = 1;
        return out;
    }
    if (kind == CoreKind::FieldSigned) {
        TRY_ASSIGN(out.value, is_signed(types, place));
        return out;
    }
    TRY_ASSIGN(u64 byte_size, types.size_of(place.type));
    u64 byte_offset = place.bit_offset / 8;
    u64 bit_size = byte_size * 8;
    if (place.bit_size != 0) {
        bit_size = place.bit_size;
        if (byte_size == 0) return bad_access(place.root, "bit field of an empty type");
        byte_offset = place.bit_offset / 8 / byte_size * byte_size;
        while (place.bit_offset + bit_size - byte_offset * 8 > byte_size * 8) {
            if (byte_size >= 8) return bad_access(place.root, "bit field across 8 bytes");
            byte_size *= 2;
            byte_offset = place.bit_offset / 8 / byte_size * byte_size;
        }
        out.is_fixed = kind == CoreKind::FieldRshift;
    }
    if (kind == CoreKind::FieldByteOffset) {
        out.value = byte_offset;
        if (place.bit_size == 0) TRY(measure_element(types, place, out));
        return out;
    }
    if (kind == CoreKind::FieldByteSize) {
        out.value = byte_size;
        return out;
    }
    if (bit_size == 0 || bit_size > 64) return bad_access(place.root, "shift for bits", bit_size);
    out.value = kind == CoreKind::FieldRshift
                    ? 64 - bit_size
                    : 64 - (place.bit_offset + bit_size - byte_offset * 8);
    return out;
}

}  // namespace

Status spend(u64& budget) {
    if (budget == 0) return fail(Errc::TooLarge, {}, "work for an object's CO-RE relocations");
    --budget;
    return {};
}

Status add_element(const View& types, CorePlace& place, u32 element, u32 index) {
    TRY_ASSIGN(const Type type, types.resolve(element));
    TRY_ASSIGN(const u64 size, types.size_of(element));
    if (size != 0 && index > kMaxBits / 8 / size)
        return bad_access(element, "CO-RE offset, element", index);
    place.bit_offset += index * size * 8;
    if (place.bit_offset > kMaxBits) return bad_access(element, "CO-RE offset", place.bit_offset);
    place.bit_size = 0;
    place.type = element;
    place.is_unnamed = false;
    place.steps.push_back({.type = type.id, .index = index, .name = {}});
    return {};
}

bool is_flexible(const View& types, const CorePlace& place, const ArrayInfo& array) {
    if (array.count != 0 || place.steps.empty() || place.steps.back().name.empty()) return false;
    const auto owner = types.type(place.steps.back().type);
    return owner && place.steps.back().index + 1 == owner->count;
}

Result<CorePlace> read_place(const View& types, const CoreRecord& record, CoreKind kind) {
    if (is_field_kind(kind)) return read_field(types, record);
    if (is_enumerator_kind(kind)) return read_enumerator(types, record);
    return CorePlace{.root = record.type, .steps = {}, .type = record.type};
}

Result<CoreMeasure> measure(const View& types, const CorePlace& place, CoreKind kind) {
    switch (kind) {
        case CoreKind::FieldByteOffset:
        case CoreKind::FieldByteSize:
        case CoreKind::FieldExists:
        case CoreKind::FieldSigned:
        case CoreKind::FieldLshift:
        case CoreKind::FieldRshift:
            return measure_field(types, place, kind);
        case CoreKind::TypeIdLocal:
        case CoreKind::TypeIdTarget:
            return CoreMeasure{.value = place.root, .is_fixed = false};
        case CoreKind::TypeExists:
        case CoreKind::TypeMatches:
        case CoreKind::EnumvalExists:
            return CoreMeasure{.value = 1};
        case CoreKind::TypeSize: {
            TRY_ASSIGN(const u64 size, types.size_of(place.root));
            return CoreMeasure{.value = size};
        }
        case CoreKind::EnumvalValue: {
            TRY_ASSIGN(const Type type, types.type(place.steps.at(0).type));
            TRY_ASSIGN(const Enumerator found, types.enumerator(type, place.steps[0].index));
            return CoreMeasure{.value = found.value};
        }
    }
    return fail(Errc::Unsupported, at_type(place.root), "kind of CO-RE relocation",
                static_cast<u64>(kind));
}

}  // namespace ebpf::btf
