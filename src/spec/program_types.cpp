// SPDX-License-Identifier: MIT
#include "spec/program_types.hpp"

#include "spec/contexts.hpp"
#include "spec/helper_table.hpp"

namespace ebpf::spec {
namespace {

// --- contexts -----------------------------------------------------------------------------------
// Fields stand in the native layout where they stand in the dialect's, except packet pointers and
// what contexts.def marks with M.

constexpr bool R = false;
constexpr bool W = true;

constexpr ContextField context_field(const char* name, std::size_t offset, std::size_t size,
                                     std::size_t native_offset, std::size_t native_size,
                                     FieldKind kind, bool writable, bool narrow) {
    return {name,
            static_cast<u16>(offset),
            static_cast<u16>(size),
            static_cast<u16>(native_offset),
            static_cast<u16>(native_size),
            kind,
            writable,
            narrow};
}

#define SAME(name, member, kind, writable, narrow)                                             \
    context_field(name, offsetof(Layout, member), sizeof(Layout::member),                      \
                  offsetof(Layout, member), sizeof(Layout::member), FieldKind::kind, writable, \
                  narrow),
#define MOVED(member, native, kind)                                                         \
    context_field(#member, offsetof(Layout, member), sizeof(Layout::member),                \
                  offsetof(Native, native), sizeof(Native::native), FieldKind::kind, false, \
                  false),
#define F(member, access) SAME(#member, member, Scalar, access, true)
#define X(member, access) SAME(#member, member, Scalar, access, false)
#define A(member, access) SAME(#member, member, Scalar, access, true)
#define E(member, n, access) SAME(#member "[" #n "]", member[n], Scalar, access, false)
#define N(member, n, access) SAME(#member "[" #n "]", member[n], Scalar, access, true)
#define L(member, size, access)                                                            \
    context_field(#member, offsetof(Layout, member), size, offsetof(Layout, member), size, \
                  FieldKind::Scalar, access, true),
#define PTR(member) SAME(#member, member, Pointer, false, false)
#define M(member, native) MOVED(member, native, Scalar)
#define START(member, native) MOVED(member, native, PacketStart)
#define END(member, native) MOVED(member, native, PacketEnd)
#define META(member, native) MOVED(member, native, PacketMeta)
#define CONTEXT(id, layout, native_layout)                        \
    struct id {                                                   \
        using Layout = layout;                                    \
        using Native [[maybe_unused]] = native_layout;            \
        static constexpr u16 kSize = sizeof(layout);              \
        static constexpr u16 kNativeSize = sizeof(native_layout); \
        static constexpr ContextField kFields[] = {
#define END_CONTEXT \
    }               \
    ;               \
    }               \
    ;
#include "spec/contexts.def"
#undef SAME
#undef MOVED

struct NoContext {
    static constexpr u16 kSize = 0;
    static constexpr u16 kNativeSize = 0;
    static constexpr std::span<const ContextField> kFields{};
};

// --- rows ---------------------------------------------------------------------------------------

constexpr ReturnRange kUnchecked{};
constexpr ReturnRange Range(i64 low, i64 high) {
    return {true, low, high};
}

constexpr u32 kNone = 0;
constexpr u32 kPacketWritable = 1;
constexpr u32 kLeaksPointers = 2;

// A type as one dialect has it.
struct Column {
    i32 number = -1;
    const char* name = nullptr;
    Guid guid{};
    ReturnRange returns{};
    u32 flags = 0;
    ContextDescriptor context{};
};

template <typename Context>
constexpr Column column(i32 number, const char* name, Guid id, ReturnRange returns, u32 flags) {
    return {number, name,
            id,     returns,
            flags,  ContextDescriptor{Context::kSize, Context::kNativeSize, Context::kFields}};
}

struct Row {
    ProgramType type{};
    const char* text = nullptr;
    Column columns[kDialectCount] = {};
};

#define LINUX(number, name, context, returns, flags) \
    column<context>(number, name, Guid{}, returns, flags)
#define WINDOWS(number, name, id, context, returns, flags) \
    column<context>(number, name, guid(id), returns, flags)
#define NONE \
    Column {}
#define PROGRAM_TYPE(id, linux_column, windows_column, text) \
    {ProgramType::id, text, {linux_column, windows_column}},
constexpr Row kRows[] = {
#include "spec/program_types.def"
};
#undef LINUX
#undef WINDOWS
#undef NONE

constexpr ProgramTypeNames names(const Row& row) {
    ProgramTypeNames n;
    n.type = row.type;
    n.text = row.text;
    for (int d = 0; d < kDialectCount; ++d) {
        n.number[d] = row.columns[d].number;
        n.name[d] = row.columns[d].name;
        if (!row.columns[d].guid.is_null()) n.guid = row.columns[d].guid;
    }
    return n;
}

#define PROGRAM_TYPE(id, ...) names(kRows[static_cast<std::size_t>(ProgramType::id)]),
constexpr ProgramTypeNames kNames[] = {
#include "spec/program_types.def"
};

// --- hash ---------------------------------------------------------------------------------------
class Fnv {
  public:
    constexpr void number(u64 value) {
        for (int i = 0; i < 8; ++i) {
            byte(static_cast<u8>(value));
            value >>= 8;
        }
    }
    constexpr void text(const char* s) {
        for (; s != nullptr && *s != '\0'; ++s) byte(static_cast<u8>(*s));
        byte(0);
    }
    constexpr u64 value() const { return hash_; }

  private:
    constexpr void byte(u8 b) { hash_ = (hash_ ^ b) * 0x100000001b3; }
    u64 hash_ = 0xcbf29ce484222325;
};

constexpr void add(Fnv& fnv, const ContextDescriptor& context) {
    fnv.number(context.size);
    fnv.number(context.native_size);
    fnv.number(context.fields.size());
    for (const ContextField& f : context.fields) {
        fnv.text(f.name);
        fnv.number(u64{f.offset} | u64{f.size} << 16 | u64{f.native_offset} << 32 |
                   u64{f.native_size} << 48);
        fnv.number(static_cast<u64>(f.kind) | u64{f.writable} << 8 | u64{f.narrow} << 9);
    }
}

constexpr u64 bits(const HelperFlags& f) {
    return u64{f.changes_packet} | u64{f.may_sleep} << 1 | u64{f.gpl_only} << 2 |
           u64{f.acquires} << 3 | u64{f.releases} << 4 | u64{f.privileged} << 5 |
           u64{f.implicit_context} << 6 | u64{f.writes_map} << 7;
}

constexpr void add(Fnv& fnv, const HelperProto& helper) {
    fnv.number(static_cast<u32>(helper.number));
    fnv.text(helper.name);
    u64 kinds = static_cast<u64>(helper.ret);
    for (const ArgKind kind : helper.args) kinds = kinds << 8 | static_cast<u64>(kind);
    fnv.number(kinds);
    fnv.number(u64{helper.map_types} | u64{helper.map_types_high} << 32);
    fnv.number(bits(helper.flags));
}

constexpr u64 hash_of(const ProgramTypeInfo& type) {
    Fnv fnv;
    fnv.text(type.name);
    fnv.number(static_cast<u64>(type.type) | static_cast<u64>(type.dialect) << 32);
    add(fnv, type.context);
    fnv.number(type.returns.checked);
    fnv.number(static_cast<u64>(type.returns.min));
    fnv.number(static_cast<u64>(type.returns.max));
    fnv.number(u64{type.packet_writable} | u64{type.may_leak_pointers} << 1);
    fnv.number(type.helpers.size());
    for (const HelperProto* helper : type.helpers) add(fnv, *helper);
    return fnv.value();
}

// --- ProgramTypeInfo ----------------------------------------------------------------------------
template <Dialect dialect, ProgramType type>
struct Helpers {
    static constexpr auto kList = helper_table::helpers_of<dialect, type>();
};

template <Dialect dialect, ProgramType type>
consteval ProgramTypeInfo make_info() {
    const Column& c =
        kRows[static_cast<std::size_t>(type)].columns[static_cast<std::size_t>(dialect)];
    ProgramTypeInfo result;
    result.type = type;
    result.name = c.name;
    result.dialect = dialect;
    if (c.number < 0) return result;
    result.context = c.context;
    result.returns = c.returns;
    result.packet_writable = (c.flags & kPacketWritable) != 0;
    result.may_leak_pointers = (c.flags & kLeaksPointers) != 0;
    result.helpers = Helpers<dialect, type>::kList;
    result.hash = hash_of(result);
    return result;
}

#define PROGRAM_TYPE(id, ...) \
    {make_info<Dialect::Linux, ProgramType::id>(), make_info<Dialect::Windows, ProgramType::id>()},
constexpr ProgramTypeInfo kInfos[][kDialectCount] = {
#include "spec/program_types.def"
};

}  // namespace

const ProgramTypeNames& info(ProgramType type) {
    return kNames[static_cast<std::size_t>(type)];
}

i32 number(Dialect dialect, ProgramType type) {
    return info(type).number[static_cast<std::size_t>(dialect)];
}

std::optional<ProgramType> program_type_from_number(Dialect dialect, u32 number) {
    for (const ProgramTypeNames& row : kNames) {
        if (row.number[static_cast<std::size_t>(dialect)] == static_cast<i64>(number))
            return row.type;
    }
    return std::nullopt;
}

std::optional<ProgramType> program_type_from_guid(const Guid& guid) {
    if (guid.is_null()) return std::nullopt;
    for (const ProgramTypeNames& row : kNames) {
        if (row.guid == guid) return row.type;
    }
    return std::nullopt;
}

const ProgramTypeInfo* program_info(Dialect dialect, ProgramType type) {
    if (number(dialect, type) < 0) return nullptr;
    return &kInfos[static_cast<std::size_t>(type)][static_cast<std::size_t>(dialect)];
}

u64 hash(const ProgramTypeInfo& type) {
    return hash_of(type);
}

}  // namespace ebpf::spec
