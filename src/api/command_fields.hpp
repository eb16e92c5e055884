// SPDX-License-Identifier: MIT
// spec/commands.def as data: what bpf() has to do with each field of each command.
#pragma once

#include <span>

#include "spec/commands.hpp"

namespace ebpf::api {

// The column `kind` of commands.def, which explains them.
enum class FieldKind : u8 {
    Scalar,
    Flags,
    Fd,
    FdOut,
    Target,
    Id,
    Number,
    In,
    Out,
    InOut,
    Insns,
    Fds,
    Path,
    String,
    Log,
    Result,
    InResult,
    Name,
    Pad,
};
enum class Access : u8 { Any, Privileged };

struct Field {
    const char* name;
    u16 offset;
    u16 size;
    FieldKind kind;
};

struct CommandInfo {
    spec::Command command;
    const char* name;
    Access access;
    u16 size;  // of its attribute structure
    std::span<const Field> fields;
};

// The command of that number, or nullptr.
const CommandInfo* find_command(u32 number);

}  // namespace ebpf::api
