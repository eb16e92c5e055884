// SPDX-License-Identifier: MIT
// commands.def as data: what stands where in each command's attribute, and how long the buffers
// are that it points to. bpf() and the wire are made from this.
#pragma once

#include <span>

#include "spec/commands.hpp"

namespace ebpf::spec {

// The column `kind` of commands.def, which explains them.
enum class AttrKind : u8 {
    Scalar,
    Flags,
    Fd,
    OptionalFd,
    FdOut,
    Target,
    Id,
    Number,
    In,
    Out,
    InOut,
    Info,
    Insns,
    Fds,
    Path,
    String,
    Log,
    Result,
    InResult,
    Name,
    Pad,
    Gap,
};
enum class Access : u8 { Any, Operator, Privileged };

// A length expression of commands.def.
struct Length {
    enum class Kind : u8 {
        None,
        Field,        // field `a`
        Product,      // field `a` times field `b`
        Scaled,       // field `a` times the number `b`
        Key,          // key_size of the map
        Value,        // value_size of the map
        BatchKeys,    // key_size times the field `a`, count
        BatchValues,  // value_size times the field `a`, count
        FdArrayUsed,  // as far as the instructions of the same attribute index it
    };
    Kind kind = Kind::None;
    u8 a = 0;  // index into the command's fields
    u8 b = 0;

    constexpr bool needs_map() const {
        return kind == Kind::Key || kind == Kind::Value || kind == Kind::BatchKeys ||
               kind == Kind::BatchValues;
    }
};

struct AttrField {
    const char* name;
    u16 offset;
    u16 size;
    AttrKind kind;
    Length length;

    // Whether the field is an address: of what goes in, of what comes out.
    constexpr bool goes_in() const {
        return kind == AttrKind::In || kind == AttrKind::InOut || kind == AttrKind::Info ||
               kind == AttrKind::Insns || kind == AttrKind::Fds || kind == AttrKind::Path ||
               kind == AttrKind::String;
    }
    constexpr bool comes_out() const {
        return kind == AttrKind::Out || kind == AttrKind::InOut || kind == AttrKind::Info ||
               kind == AttrKind::Log;
    }
    constexpr bool is_fd() const { return kind == AttrKind::Fd || kind == AttrKind::OptionalFd; }
    constexpr bool is_text() const { return kind == AttrKind::Path || kind == AttrKind::String; }
    constexpr bool is_written() const {
        return kind == AttrKind::Result || kind == AttrKind::InResult;
    }
};

struct CommandInfo {
    Command command;
    const char* name;
    Access access;
    u16 size;  // of its attribute structure
    std::span<const AttrField> fields;
};

inline constexpr u32 kMaxAttrSize = 256;     // of any command's structure
inline constexpr u32 kOwnCommands = 0x1000;  // below: Linux's, whose results above 0 are handles

// Whether a command's result is a new handle.
constexpr bool is_handle(Command command, i64 result) {
    return result > 0 &&
           (static_cast<u32>(command) < kOwnCommands || command == Command::ProgInstall);
}

std::span<const CommandInfo> commands();
// The command of that number, or nullptr.
const CommandInfo* find_command(u32 number);

}  // namespace ebpf::spec
