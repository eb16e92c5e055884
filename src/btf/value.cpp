// SPDX-License-Identifier: MIT
#include "btf/value.hpp"

#include <bit>
#include <cstring>
#include <unordered_map>

namespace ebpf::btf {
namespace {

using Part = ValuePart::Kind;

constexpr int kMaxDepth = 64;
constexpr u32 kMaxBits = 128;

constexpr bool printable(std::byte c) {
    return c >= std::byte{0x20} && c < std::byte{0x7f};
}

class Walk {
  public:
    Walk(const View& types, Bytes value, const ValueVisitor& visit)
        : types_(types),
          value_(value),
          visit_(visit),
          left_(kParts + value.size() * kPartsOfByte) {}

    // The part at that place, which is in bits from the value's start.
    Status part(std::string_view name, u32 id, u64 place) {
        TRY_ASSIGN(const Type type, types_.resolve(id));
        if (type.kind == Kind::Int) return integer(name, type, place);
        if (place % 8 != 0) return fail(Errc::BadFormat, at_type(id), "place of a member", place);
        switch (type.kind) {
            case Kind::Struct:
            case Kind::Union:
                return members(name, type, place);
            case Kind::Array:
                return elements(name, type, place);
            case Kind::Datasec:
                return variables(name, type, place);
            case Kind::Var: {  // a structure of the one variable
                TRY(open(name, Part::Structure));
                TRY(variable(type, place));
                return close();
            }
            case Kind::Enum:
            case Kind::Enum64:
                return enumeration(name, type, place);
            case Kind::Ptr: {
                TRY_ASSIGN(const Wide value, bits(place, kPointerSize * 8));
                return tell({.kind = Part::Pointer, .name = name, .low = value.low});
            }
            case Kind::Float:
                return real(name, type, place);
            case Kind::Int:
            case Kind::Void:
            case Kind::Fwd:
            case Kind::Typedef:
            case Kind::Volatile:
            case Kind::Const:
            case Kind::Restrict:
            case Kind::Func:
            case Kind::FuncProto:
            case Kind::DeclTag:
            case Kind::TypeTag:
                break;
        }
        return tell({.kind = Part::Unknown, .name = name});
    }

  private:
    // What a value of no bytes may have, and what one of more: eight bit fields, each in a
    // structure of its own in structures.
    static constexpr u64 kParts = 1u << 16;
    static constexpr u64 kPartsOfByte = 64;

    struct Wide {
        u64 low = 0, high = 0;
    };

    Status tell(const ValuePart& part) {
        if (left_ == 0) return fail(Errc::TooLarge, {}, "parts of a value");
        --left_;
        visit_(part);
        return {};
    }
    Status open(std::string_view name, Part kind) {
        if (depth_ == kMaxDepth) return fail(Errc::TooLarge, {}, "depth of a value", kMaxDepth);
        ++depth_;
        return tell({.kind = kind, .name = name});
    }
    Status close() {
        --depth_;
        return tell({.kind = Part::End});
    }

    Result<Wide> bits(u64 place, u64 count) const {
        if (count > kMaxBits) return fail(Errc::TooLarge, {}, "bits of an integer", count);
        const u64 first = place / 8, shift = place % 8;
        TRY_ASSIGN(const Bytes bytes,
                   slice(value_, first, (shift + count + 7) / 8, "part of a value"));
        unsigned char raw[kMaxBits / 8 + 1] = {};
        std::memcpy(raw, bytes.data(), bytes.size());
        Wide wide;
        for (u32 i = 0; i < 8; ++i) {
            const auto byte = [&](u32 n) {
                return static_cast<u64>(
                    static_cast<u8>(raw[n] >> shift | raw[n + 1] << (8 - shift)));
            };
            wide.low |= byte(i) << i * 8;
            wide.high |= byte(i + 8) << i * 8;
        }
        if (count < 64) wide.low &= (u64{1} << count) - 1;
        if (count < kMaxBits) wide.high &= count <= 64 ? 0 : (u64{1} << (count - 64)) - 1;
        return wide;
    }
    static i64 extended(u64 value, u32 bytes) {
        const u32 unused = 64 - bytes * 8;
        return static_cast<i64>(value << unused) >> unused;
    }

    Status bit_field(std::string_view name, u64 place, u64 count) {
        TRY_ASSIGN(const Wide value, bits(place, count));
        return tell({.kind = Part::Bits, .name = name, .low = value.low, .high = value.high});
    }

    Status integer(std::string_view name, const Type& type, u64 place) {
        constexpr u8 kSigned = 1, kCharacter = 2, kBoolean = 4;
        TRY_ASSIGN(const IntInfo info, types_.integer(type));
        const bool whole = info.bit_offset == 0 && place % 8 == 0 && info.bits <= 64 &&
                           info.bits == type.size() * 8 && std::has_single_bit(type.size());
        if (!whole) return bit_field(name, place + info.bit_offset, info.bits);
        TRY_ASSIGN(const Wide value, bits(place, info.bits));
        switch (info.encoding) {
            case kSigned:
                return tell({.kind = Part::Signed,
                             .name = name,
                             .low = static_cast<u64>(extended(value.low, type.size()))});
            case kCharacter:
                return tell({.kind = Part::Character, .name = name, .low = value.low & 0xff});
            case kBoolean:
                return tell({.kind = Part::Boolean, .name = name, .low = value.low != 0});
            default:
                return tell({.kind = Part::Unsigned, .name = name, .low = value.low});
        }
    }

    Status enumeration(std::string_view name, const Type& type, u64 place) {
        TRY_ASSIGN(const Wide raw, bits(place, u64{type.size()} * 8));
        const u64 value = static_cast<u64>(extended(raw.low, type.size()));
        const u64 mine = type.kind_flag ? value : raw.low;
        TRY_ASSIGN(const Enumerators* const all, enumerators(type));
        const auto one = all->find(mine);
        if (one == all->end()) return tell({.kind = Part::Signed, .name = name, .low = value});
        TRY_ASSIGN(const std::string_view text, types_.string(one->second));
        return tell({.kind = Part::Enumerator, .name = name, .low = value, .text = text});
    }

    // Offsets of names by value, the first one's. Each type is read once: a large array of a large
    // enumeration would be read for long otherwise.
    using Enumerators = std::unordered_map<u64, u32>;
    Result<const Enumerators*> enumerators(const Type& type) {
        const auto [at, made] = enumerators_.try_emplace(type.id);
        for (u32 i = 0; made && i < type.count; ++i) {
            TRY_ASSIGN(const Enumerator one, types_.enumerator(type, i));
            at->second.emplace(one.value, one.name_offset);
        }
        return &at->second;
    }

    Status real(std::string_view name, const Type& type, u64 place) {
        if (type.size() != 4 && type.size() != 8)
            return tell({.kind = Part::Unknown, .name = name});
        TRY_ASSIGN(const Wide raw, bits(place, u64{type.size()} * 8));
        const double value = type.size() == 8
                                 ? std::bit_cast<double>(raw.low)
                                 : double{std::bit_cast<float>(static_cast<u32>(raw.low))};
        return tell({.kind = Part::Real, .name = name, .real = value});
    }

    Status members(std::string_view name, const Type& type, u64 place) {
        TRY(open(name, Part::Structure));
        for (u32 i = 0; i < type.count; ++i) {
            TRY_ASSIGN(const Member member, types_.member(type, i));
            TRY_ASSIGN(const std::string_view its_name, types_.string(member.name_offset));
            const u64 its_place = place + member.bit_offset;
            TRY(member.bit_size != 0 ? bit_field(its_name, its_place, member.bit_size)
                                     : part(its_name, member.type, its_place));
        }
        return close();
    }

    // A section: its name, and its variables in order, each a structure of its own.
    Status variables(std::string_view name, const Type& type, u64 place) {
        TRY_ASSIGN(const std::string_view its_name, types_.name(type));
        TRY(open(name, Part::Structure));
        TRY(open(its_name, Part::Array));
        for (u32 i = 0; i < type.count; ++i) {
            TRY_ASSIGN(const SectionVariable one, types_.variable(type, i));
            TRY(part({}, one.type, place + u64{one.offset} * 8));
        }
        TRY(close());
        return close();
    }
    Status variable(const Type& type, u64 place) {
        TRY_ASSIGN(const std::string_view name, types_.name(type));
        return part(name, type.ref(), place);
    }

    Status elements(std::string_view name, const Type& type, u64 place) {
        TRY_ASSIGN(const ArrayInfo info, types_.array(type));
        TRY_ASSIGN(const bool characters, is_character(info.element));
        if (characters) {
            TRY_ASSIGN(const Bytes bytes, slice(value_, place / 8, info.count, "part of a value"));
            std::size_t end = 0;
            while (end < bytes.size() && printable(bytes[end])) ++end;
            if (end < bytes.size() && bytes[end] == std::byte{0}) {
                return tell({.kind = Part::Text,
                             .name = name,
                             .text = {reinterpret_cast<const char*>(bytes.data()), end}});
            }
        }
        TRY_ASSIGN(const u64 size, types_.size_of(info.element));
        TRY(open(name, Part::Array));
        for (u32 i = 0; i < info.count; ++i) TRY(part({}, info.element, place + i * size * 8));
        return close();
    }

    // char, const or not; a typedef of it is a number of eight bits.
    Result<bool> is_character(u32 id) const {
        constexpr u8 kCharacter = 2;
        TRY_ASSIGN(Type type, types_.type(id));
        for (int step = 0; step < kMaxChain && is_modifier(type.kind); ++step) {
            if (type.kind == Kind::Typedef) return false;
            TRY_ASSIGN(type, types_.type(type.ref()));
        }
        if (type.kind != Kind::Int || type.size() != 1) return false;
        TRY_ASSIGN(const IntInfo info, types_.integer(type));
        TRY_ASSIGN(const std::string_view name, types_.name(type));
        return info.encoding == kCharacter || name == "char";
    }

    const View& types_;
    Bytes value_;
    const ValueVisitor& visit_;
    u64 left_;
    int depth_ = 0;
    std::unordered_map<u32, Enumerators> enumerators_;
};

}  // namespace

Status walk_value(const View& types, u32 type, Bytes value, const ValueVisitor& visit) {
    return Walk(types, value, visit).part({}, type, 0);
}

}  // namespace ebpf::btf
