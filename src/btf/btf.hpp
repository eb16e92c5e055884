// SPDX-License-Identifier: MIT
//
// Type information (.BTF) as the kernel reads it: over untrusted bytes, without an allocation.
// Types have variable length and are named by their position, so a reader needs an index from id to
// offset; the caller provides its memory (btf/types.hpp does so in user mode):
//
//     TRY_ASSIGN(btf::View btf, btf::View::open(section));
//     TRY_ASSIGN(const u32 count, btf.count_types());       // void (0) included
//     TRY(btf.index({memory, count}));
//     TRY(btf.validate());
//
// After validate() every id, name and count in the data is in range, chains of typedefs, modifiers
// and arrays end, and members lie inside their structures: the accessors then fail only for the
// caller's own wrong arguments. Format: https://docs.kernel.org/bpf/btf.html.
#pragma once

#include "base/byte_reader.hpp"

namespace ebpf::btf {

enum class Kind : u8 {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
};
inline constexpr int kKindCount = 20;

inline constexpr u32 kMaxTypes = 0x0010'0000;  // BTF_MAX_TYPE + 1
inline constexpr u64 kPointerSize = 8;
inline constexpr u64 kMaxString = 4096;  // bytes of a name or a source line
// How many typedefs, modifiers, arrays and variables may stand between an id and a size.
inline constexpr int kMaxChain = 32;

// const, volatile, restrict, typedef and type tags: they add nothing to the layout.
constexpr bool is_modifier(Kind kind) {
    return kind == Kind::Typedef || kind == Kind::Volatile || kind == Kind::Const ||
           kind == Kind::Restrict || kind == Kind::TypeTag;
}

struct Type {
    u32 id = 0;
    Kind kind = Kind::Void;
    bool kind_flag = false;  // bit fields in the members; signed enum; union for Fwd
    u16 count = 0;           // vlen: members, enumerators, parameters, variables; linkage of Func
    u32 name_offset = 0;
    u32 size_or_type = 0;  // by kind: size in bytes, or id of the type referred to
    Bytes data{};          // what follows the common part

    bool is_struct_or_union() const { return kind == Kind::Struct || kind == Kind::Union; }
    u32 size() const { return size_or_type; }
    u32 ref() const { return size_or_type; }
};

struct Member {
    u32 name_offset = 0;
    u32 type = 0;
    u32 bit_offset = 0;
    u32 bit_size = 0;  // 0: not a bit field
};
struct Enumerator {
    u32 name_offset = 0;
    u64 value = 0;  // sign-extended where the enum is signed
};
struct Parameter {
    u32 name_offset = 0;
    u32 type = 0;
};
struct SectionVariable {
    u32 type = 0;    // a Var, or a Func in .ksyms
    u32 offset = 0;  // 0 in object files of some compilers: the symbol tells
    u32 size = 0;
};
struct ArrayInfo {
    u32 element = 0;
    u32 index = 0;
    u32 count = 0;
};
struct IntInfo {
    u8 encoding = 0;  // 1 signed, 2 char, 4 bool
    u8 bit_offset = 0;
    u8 bits = 0;
    bool is_signed() const { return (encoding & 1) != 0; }
};
enum class Linkage : u32 { Static = 0, Global = 1, Extern = 2 };

class View {
  public:
    // Reads the header. Errors: Truncated, BadMagic, Unsupported (version, flags), BadFormat.
    static Result<View> open(Bytes section);

    // Walks the types once; the number includes void. Errors: Truncated, BadFormat, TooLarge.
    Result<u32> count_types() const;
    // Writes the index into `offsets` (count_types() entries), which must outlive the view.
    Status index(std::span<u32> offsets);
    Status validate() const;

    u32 type_count() const { return static_cast<u32>(offsets_.size()); }

    // OutOfBounds when there is no such type. Id 0 is void.
    Result<Type> type(u32 id) const;
    // "" at 0. OutOfBounds outside the string section, TooLarge beyond kMaxString.
    Result<std::string_view> string(u32 offset) const;
    Result<std::string_view> name(const Type& type) const { return string(type.name_offset); }

    // Element `i` < type.count of a type of the right kind; OutOfBounds else.
    Result<Member> member(const Type& type, u32 i) const;
    Result<Enumerator> enumerator(const Type& type, u32 i) const;
    Result<Parameter> parameter(const Type& type, u32 i) const;
    Result<SectionVariable> variable(const Type& type, u32 i) const;
    Result<ArrayInfo> array(const Type& type) const;
    Result<IntInfo> integer(const Type& type) const;
    Result<Linkage> linkage(const Type& type) const;         // Var and Func
    Result<i32> decl_tag_component(const Type& type) const;  // -1: the type itself

    // The type behind typedefs and modifiers. BadFormat when the chain is too long.
    Result<Type> resolve(u32 id) const;
    // Size in bytes. BadFormat for what has none (void, functions, forward declarations) or a chain
    // that does not end.
    Result<u64> size_of(u32 id) const;
    // The member of that name, not looking into anonymous ones; ObjectNotFound when there is none.
    Result<Member> find_member(const Type& type, std::string_view name) const;

    Bytes types() const { return types_; }

  private:
    Result<Type> read(u32 id, u64 offset) const;
    Status check_reference(u32 owner, u32 id) const;
    Status check_name(u32 owner, u32 offset) const;
    Status check_type(const Type& type) const;
    Status check_members(const Type& type) const;
    Status check_elements(const Type& type) const;

    Bytes types_{};
    Bytes strings_{};
    std::span<const u32> offsets_{};
};

// .BTF.ext: for each code section, records about its instructions. Offsets are in bytes from the
// start of the section.
struct FunctionRecord {
    u32 offset = 0;
    u32 type = 0;  // a Func
};
struct LineRecord {
    u32 offset = 0;
    u32 file_name = 0;  // string offsets
    u32 text = 0;
    u32 line = 0;
    u32 column = 0;
};
struct CoreRecord {
    u32 offset = 0;
    u32 type = 0;
    u32 access = 0;  // string offset, e.g. "0:1:2"
    u32 kind = 0;    // enum bpf_core_relo_kind
};

// The records of one code section.
struct InfoSection {
    u32 name_offset = 0;
    u32 record_size = 0;
    Bytes records{};

    u32 size() const { return static_cast<u32>(records.size() / record_size); }
    Result<FunctionRecord> function(u32 i) const;
    Result<LineRecord> line(u32 i) const;
    Result<CoreRecord> core(u32 i) const;
};

// Goes through one table of .BTF.ext section by section.
class InfoReader {
  public:
    InfoReader() = default;
    InfoReader(Bytes area, u32 record_size) : reader_(area), record_size_(record_size) {}

    bool at_end() const { return reader_.at_end(); }
    Result<InfoSection> next();

  private:
    ByteReader reader_{Bytes{}};
    u32 record_size_ = 0;
};

struct Extension {
    InfoReader functions;
    InfoReader lines;
    InfoReader core;  // empty in files of old compilers

    // Errors: Truncated, BadMagic, Unsupported, BadFormat.
    static Result<Extension> open(Bytes section);
};

}  // namespace ebpf::btf
