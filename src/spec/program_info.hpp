// SPDX-License-Identifier: MIT
//
// What a program type is, as data: its context, its helpers, its rules. Built-in types are
// constants made from program_types.def and helpers.def; an extension hands over the same
// structures at run time; offline tools read them from a file. The verifier, the lowering and the
// runtime know program types only through this.
#pragma once

#include <span>

#include "spec/dialect.hpp"
#include "spec/ids.hpp"

namespace ebpf::spec {

// What an argument of a helper must be. A size argument bounds the memory argument before it.
enum class ArgKind : u8 {
    None,      // not an argument
    Anything,  // any initialised value, pointers too where the caller may leak them
    Scalar,    // a number
    Context,   // the program's context
    ContextOrNull,
    Map,             // a map of a type that the row allows
    MapOfPrograms,   // a prog array
    MapKey,          // readable memory of the map's key size
    MapValue,        // readable memory of the map's value size
    UninitMapValue,  // writable memory of the map's value size, initialised by the call
    ReadableMem,     // initialised memory; the next argument is its size
    ReadableMemOrNull,
    WritableMem,  // memory that the call fills completely; need not be initialised
    WritableMemOrNull,
    ConstSize,  // size > 0 of the preceding memory argument, bounded at verification
    ConstSizeOrZero,
    ConstAllocSize,  // a constant size of memory to be allocated (ringbuf_reserve)
    AllocMem,        // memory from a helper that allocates (ringbuf_submit, _discard); releases it
    StackOrNull,
    Callback,         // address of a subprogram
    CallbackContext,  // stack pointer or null handed to the callback
    SpinLock,
    Timer,
    KptrField,
    DynptrUninit,
    Dynptr,
    ConstString,  // pointer to a NUL-terminated string in frozen read-only data
    ConstFormat,  // such a string that is a format (spec/format.hpp) of the values in the next two
                  // arguments, an array of u64 and its size in bytes
    PtrToLong,    // writable 8 bytes on the stack
    PtrToInt,     // writable 4 bytes
    SocketCommon,
    Socket,
    BtfId,
    PercpuBtfId,
    ReadWriteMem,    // initialised memory that the call reads and writes; the next argument is its
                     // size
    PartialMem,      // writable memory of which the call writes an unknown part: need not be
                     // initialised, and counts as it afterwards for who may see the kernel's memory
    MapValueOrNull,  // readable memory of the map's value size, or null
    NewIterator,     // an iterator over numbers that the call makes; the next two arguments are the
                     // first number and the one after the last
    Iterator,        // an iterator that was made
    EndedIterator,   // ... and ends
    SliceBuffer,     // null, or memory of the size in the next argument (ConstAllocSize)
    ReadableMem20,   // initialised memory of this size: an IPv4 or a TCP header
    ReadableMem40,   // an IPv6 header
    Unsupported,
};

enum class RetKind : u8 {
    Void,
    Scalar,          // any number
    Errno,           // 0 or a negative error
    MapValueOrNull,  // or the inner map of a map of maps, or a referenced socket of a socket map
    MapValue,
    NoReturnIfSuccess,  // tail call
    AllocMemOrNull,     // size from the ConstAllocSize argument; a reference that must be released
    SocketOrNull,
    TcpSocketOrNull,
    SocketCommonOrNull,
    BtfIdOrNull,
    BtfId,
    MemOrNull,
    DynptrSliceOrNull,          // of the size in the ConstAllocSize argument
    DynptrReadOnlySliceOrNull,  // the same, to be read only
    IteratorNumberOrNull,       // a number inside the iterator, to be read only
    PercpuPointerOrNull,
    MapPointerOrNull,
    Unsupported,
};

inline constexpr int kMaxHelperArgs = 5;

struct HelperFlags {
    bool changes_packet : 1 = false;  // packet pointers are invalid after it
    bool may_sleep : 1 = false;
    bool gpl_only : 1 = false;
    bool acquires : 1 = false;          // returns a reference
    bool releases : 1 = false;          // ends the reference in its first argument
    bool privileged : 1 = false;        // Linux: CAP_PERFMON or CAP_SYS_ADMIN
    bool implemented : 1 = false;       // the runtime has it today
    bool implicit_context : 1 = false;  // eBPF for Windows: context passed as hidden argument
    bool writes_map : 1 = false;        // not for maps that programs only read
};

// Prototype of one helper.
struct HelperProto {
    Helper id{};
    const char* name = nullptr;
    RetKind ret = RetKind::Unsupported;
    ArgKind args[kMaxHelperArgs] = {};
    HelperFlags flags{};
    u32 map_types = 0;       // what a Map argument may be: bit per canonical MapType below 32,
    u32 map_types_high = 0;  // and from 32 on
    i32 number = -1;         // in the dialect of the ProgramTypeInfo that holds it

    constexpr bool allows(MapType type) const {
        const u32 bit = static_cast<u32>(type);
        return (bit < 32 ? map_types >> bit : map_types_high >> (bit - 32)) & 1;
    }
    constexpr int arg_count() const {
        int n = 0;
        while (n < kMaxHelperArgs && args[n] != ArgKind::None) ++n;
        return n;
    }
};

enum class FieldKind : u8 {
    Scalar,
    PacketStart,  // loads give a pointer to the first packet byte
    PacketEnd,    // ... one past the last
    PacketMeta,   // ... the metadata area before the first byte
    Pointer,      // another pointer, described by later issues; `unsupported` today
};

// A field of the context as programs of one dialect see it.
struct ContextField {
    const char* name;
    u16 offset;         // in the dialect's layout
    u16 size;           // bytes
    u16 native_offset;  // in the layout that hooks build; -1 cannot occur, every field exists there
    u16 native_size;
    FieldKind kind = FieldKind::Scalar;
    bool writable = false;
    bool narrow = true;  // a part of it may be read with a narrower load
};

struct ContextDescriptor {
    u16 size = 0;  // of the dialect's structure
    u16 native_size = 0;
    std::span<const ContextField> fields{};

    // The field that holds [offset, offset + width), or nullptr.
    constexpr const ContextField* find(u32 offset, u32 width) const {
        for (const ContextField& f : fields) {
            if (offset >= f.offset && offset + width <= u32{f.offset} + f.size) return &f;
        }
        return nullptr;
    }
};

struct ReturnRange {
    bool checked = false;
    i64 min = 0;
    i64 max = 0;
};

struct ProgramTypeInfo {
    ProgramType type{};
    const char* name = nullptr;
    Dialect dialect{};
    ContextDescriptor context{};
    ReturnRange returns{};
    bool packet_writable = false;    // direct stores through packet pointers
    bool may_leak_pointers = false;  // eBPF for Windows' is_privileged
    // Prototypes that programs of the type may call: general helpers and the type's own, sorted by
    // the dialect's number. find_helper() of spec/helpers.hpp looks one up.
    std::span<const HelperProto* const> helpers{};
    u64 hash = 0;  // over everything above; checked again at install

    // The context holds arguments whose types only the kernel's BTF knows.
    constexpr bool typed_arguments() const {
        return type == ProgramType::Tracing || type == ProgramType::Lsm ||
               type == ProgramType::StructOps || type == ProgramType::Ext;
    }
};

}  // namespace ebpf::spec
