// SPDX-License-Identifier: MIT
#include "btf/btf.hpp"

namespace ebpf::btf {
namespace {

constexpr u16 kMagic = 0xeb9f;
constexpr u8 kVersion = 1;
constexpr u64 kCommonBytes = 12;  // struct btf_type

struct Header {
    u16 magic;
    u8 version;
    u8 flags;
    u32 header_length;
    u32 type_offset;
    u32 type_length;
    u32 string_offset;
    u32 string_length;
};
static_assert(sizeof(Header) == 24);

// What follows the common part, by kind: `fixed` bytes and `each` per element.
struct Shape {
    u8 fixed;
    u8 each;
};
constexpr Shape kShapes[kKindCount] = {
    {0, 0},   // Void
    {4, 0},   // Int: encoding
    {0, 0},   // Ptr
    {12, 0},  // Array
    {0, 12},  // Struct: members
    {0, 12},  // Union
    {0, 8},   // Enum: enumerators
    {0, 0},   // Fwd
    {0, 0},   // Typedef
    {0, 0},   // Volatile
    {0, 0},   // Const
    {0, 0},   // Restrict
    {0, 0},   // Func: vlen is the linkage, nothing follows
    {0, 8},   // FuncProto: parameters
    {4, 0},   // Var: linkage
    {0, 12},  // Datasec: variables
    {0, 0},   // Float
    {4, 0},   // DeclTag: component
    {0, 0},   // TypeTag
    {0, 12},  // Enum64
};

u64 data_size(Kind kind, u32 count) {
    const Shape shape = kShapes[static_cast<int>(kind)];
    return shape.fixed + u64{shape.each} * count;
}

std::unexpected<Error> wrong_kind(const Type& type, const char* what) {
    return fail(Errc::InvalidArgument, at_type(type.id), what, static_cast<u64>(type.kind));
}

// The bytes of element `i`, each of `size` bytes.
Result<const std::byte*> element(const Type& type, u32 i, u64 size, const char* what) {
    if (i >= type.count || (i + u64{1}) * size > type.data.size()) {
        return fail(Errc::OutOfBounds, at_type(type.id), what, i);
    }
    return type.data.data() + i * size;
}

}  // namespace

Result<View> View::open(Bytes section) {
    ByteReader reader(section);
    TRY_ASSIGN(const Header header, reader.read<Header>("BTF header"));
    if (header.magic != kMagic)
        return fail(Errc::BadMagic, at_offset(0), "BTF magic", header.magic);
    if (header.version != kVersion) {
        return fail(Errc::Unsupported, at_offset(2), "BTF version", header.version);
    }
    if (header.flags != 0) return fail(Errc::Unsupported, at_offset(3), "BTF flags", header.flags);
    if (header.header_length < sizeof(Header)) {
        return fail(Errc::BadFormat, at_offset(4), "length of the BTF header",
                    header.header_length);
    }
    if (header.type_offset % 4 != 0) {
        return fail(Errc::BadFormat, at_offset(8), "alignment of the types", header.type_offset);
    }
    const u64 base = header.header_length;
    View view;
    TRY_ASSIGN(view.types_,
               slice(section, base + header.type_offset, header.type_length, "BTF types"));
    TRY_ASSIGN(view.strings_,
               slice(section, base + header.string_offset, header.string_length, "BTF strings"));
    if (view.strings_.empty() || view.strings_.front() != std::byte{0} ||
        view.strings_.back() != std::byte{0}) {
        return fail(Errc::BadFormat, at_offset(base + header.string_offset),
                    "the strings do not start and end with NUL");
    }
    return view;
}

Result<Type> View::read(u32 id, u64 offset) const {
    const auto common = slice(types_, offset, kCommonBytes);
    if (!common) return fail(Errc::Truncated, at_type(id), "type", offset);
    const u32 info = load_le<u32>(common->data() + 4);
    const u32 kind = (info >> 24) & 0x1f;
    if (kind == 0 || kind >= kKindCount) return fail(Errc::BadFormat, at_type(id), "kind", kind);
    if ((info & 0x60ff'0000) != 0) {
        return fail(Errc::ReservedField, at_type(id), "reserved bits of info", info);
    }
    Type type{.id = id,
              .kind = static_cast<Kind>(kind),
              .kind_flag = (info >> 31) != 0,
              .count = static_cast<u16>(info & 0xffff),
              .name_offset = load_le<u32>(common->data()),
              .size_or_type = load_le<u32>(common->data() + 8)};
    const auto data = slice(types_, offset + kCommonBytes, data_size(type.kind, type.count));
    if (!data) return fail(Errc::Truncated, at_type(id), "elements of the type", type.count);
    type.data = *data;
    return type;
}

Result<u32> View::count_types() const {
    u32 count = 1;
    for (u64 offset = 0; offset < types_.size(); ++count) {
        if (count == kMaxTypes) return fail(Errc::TooLarge, at_type(count), "types", count);
        TRY_ASSIGN(const Type type, read(count, offset));
        offset += kCommonBytes + type.data.size();
    }
    return count;
}

Status View::index(std::span<u32> offsets) {
    u64 offset = 0;
    for (u32 id = 1; id < offsets.size(); ++id) {
        TRY_ASSIGN(const Type type, read(id, offset));
        offsets[id] = static_cast<u32>(offset);
        offset += kCommonBytes + type.data.size();
    }
    if (offset != types_.size()) {
        return fail(Errc::InsufficientBuffer, at_type(offsets.size()), "index of the types");
    }
    if (!offsets.empty()) offsets[0] = 0;
    offsets_ = offsets;
    return {};
}

Result<Type> View::type(u32 id) const {
    if (id == 0) return Type{};
    if (id >= offsets_.size()) return fail(Errc::OutOfBounds, at_type(id), "type id", id);
    return read(id, offsets_[id]);
}

Result<std::string_view> View::string(u32 offset) const {
    if (offset >= strings_.size()) return fail(Errc::OutOfBounds, {}, "BTF string", offset);
    // open() made sure that the last byte is NUL. The bound keeps many names in one endless string
    // from costing the square of its length.
    const Bytes rest = strings_.subspan(offset);
    const auto* begin = reinterpret_cast<const char*>(rest.data());
    const u64 size = rest.size() < kMaxString + 1 ? rest.size() : kMaxString + 1;
    const void* end = std::memchr(begin, 0, size);
    if (end == nullptr) return fail(Errc::TooLarge, {}, "BTF string", offset);
    return std::string_view(begin, static_cast<const char*>(end));
}

Result<Member> View::member(const Type& type, u32 i) const {
    if (!type.is_struct_or_union()) return wrong_kind(type, "members of a type of kind");
    TRY_ASSIGN(const std::byte* raw, element(type, i, 12, "member"));
    const u32 place = load_le<u32>(raw + 8);
    Member member{
        .name_offset = load_le<u32>(raw), .type = load_le<u32>(raw + 4), .bit_offset = place};
    if (type.kind_flag) {
        member.bit_offset = place & 0x00ff'ffff;
        member.bit_size = place >> 24;
    }
    return member;
}

Result<Enumerator> View::enumerator(const Type& type, u32 i) const {
    if (type.kind == Kind::Enum) {
        TRY_ASSIGN(const std::byte* raw, element(type, i, 8, "enumerator"));
        const u32 value = load_le<u32>(raw + 4);
        const u64 wide = type.kind_flag ? static_cast<u64>(i64{static_cast<i32>(value)}) : value;
        return Enumerator{.name_offset = load_le<u32>(raw), .value = wide};
    }
    if (type.kind != Kind::Enum64) return wrong_kind(type, "enumerators of a type of kind");
    TRY_ASSIGN(const std::byte* raw, element(type, i, 12, "enumerator"));
    return Enumerator{.name_offset = load_le<u32>(raw),
                      .value = u64{load_le<u32>(raw + 8)} << 32 | load_le<u32>(raw + 4)};
}

Result<Parameter> View::parameter(const Type& type, u32 i) const {
    if (type.kind != Kind::FuncProto) return wrong_kind(type, "parameters of a type of kind");
    TRY_ASSIGN(const std::byte* raw, element(type, i, 8, "parameter"));
    return Parameter{.name_offset = load_le<u32>(raw), .type = load_le<u32>(raw + 4)};
}

Result<SectionVariable> View::variable(const Type& type, u32 i) const {
    if (type.kind != Kind::Datasec) return wrong_kind(type, "variables of a type of kind");
    TRY_ASSIGN(const std::byte* raw, element(type, i, 12, "variable"));
    return SectionVariable{
        .type = load_le<u32>(raw), .offset = load_le<u32>(raw + 4), .size = load_le<u32>(raw + 8)};
}

Result<ArrayInfo> View::array(const Type& type) const {
    if (type.kind != Kind::Array) return wrong_kind(type, "elements of a type of kind");
    return ArrayInfo{.element = load_le<u32>(type.data.data()),
                     .index = load_le<u32>(type.data.data() + 4),
                     .count = load_le<u32>(type.data.data() + 8)};
}

Result<IntInfo> View::integer(const Type& type) const {
    if (type.kind != Kind::Int) return wrong_kind(type, "encoding of a type of kind");
    const u32 raw = load_le<u32>(type.data.data());
    return IntInfo{.encoding = static_cast<u8>((raw >> 24) & 0xf),
                   .bit_offset = static_cast<u8>(raw >> 16),
                   .bits = static_cast<u8>(raw)};
}

Result<Linkage> View::linkage(const Type& type) const {
    if (type.kind == Kind::Func) return static_cast<Linkage>(type.count);
    if (type.kind != Kind::Var) return wrong_kind(type, "linkage of a type of kind");
    return static_cast<Linkage>(load_le<u32>(type.data.data()));
}

Result<i32> View::decl_tag_component(const Type& type) const {
    if (type.kind != Kind::DeclTag) return wrong_kind(type, "tag of a type of kind");
    return load_le<i32>(type.data.data());
}

Result<Type> View::resolve(u32 id) const {
    u32 next = id;
    for (int step = 0; step < kMaxChain; ++step) {
        TRY_ASSIGN(const Type type, this->type(next));
        if (!is_modifier(type.kind)) return type;
        next = type.ref();
    }
    return fail(Errc::BadFormat, at_type(id), "a chain of types that is circular or too long");
}

Result<u64> View::size_of(u32 id) const {
    u64 elements = 1;
    u32 next = id;
    for (int step = 0; step < kMaxChain; ++step) {
        TRY_ASSIGN(const Type type, this->type(next));
        u64 size = 0;
        switch (type.kind) {
            case Kind::Int:
            case Kind::Struct:
            case Kind::Union:
            case Kind::Enum:
            case Kind::Datasec:
            case Kind::Float:
            case Kind::Enum64:
                size = type.size();
                break;
            case Kind::Ptr:
                size = kPointerSize;
                break;
            case Kind::Array: {
                TRY_ASSIGN(const ArrayInfo info, array(type));
                // Anything beyond 4 GiB is no object; the bound keeps the product exact.
                if (info.count != 0 && elements > (u64{1} << 32) / info.count) {
                    return fail(Errc::TooLarge, at_type(id), "array", info.count);
                }
                elements *= info.count;
                next = info.element;
                continue;
            }
            case Kind::Typedef:
            case Kind::Volatile:
            case Kind::Const:
            case Kind::Restrict:
            case Kind::TypeTag:
            case Kind::Var:
                next = type.ref();
                continue;
            case Kind::Void:
            case Kind::Fwd:
            case Kind::Func:
            case Kind::FuncProto:
            case Kind::DeclTag:
                return fail(Errc::BadFormat, at_type(id), "no size for a type of kind",
                            static_cast<u64>(type.kind));
        }
        if (elements != 0 && size > (u64{1} << 32) / elements) {
            return fail(Errc::TooLarge, at_type(id), "type", size);
        }
        return size * elements;
    }
    return fail(Errc::BadFormat, at_type(id), "a chain of types that is circular or too long");
}

Result<Member> View::find_member(const Type& type, std::string_view name) const {
    for (u32 i = 0; i < type.count; ++i) {
        TRY_ASSIGN(const Member candidate, member(type, i));
        TRY_ASSIGN(const std::string_view its_name, string(candidate.name_offset));
        if (its_name == name) return candidate;
    }
    return fail(Errc::ObjectNotFound, at_type(type.id), "member");
}

}  // namespace ebpf::btf
