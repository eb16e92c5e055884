// SPDX-License-Identifier: MIT
// The commands' numbers and attribute structures, made from commands.def.
#pragma once

#include <array>

#include "base/types.hpp"

namespace ebpf::spec {

enum class Command : u32 {
#define COMMAND(id, number, name, access) id = number,
#define FIELD(type, name, kind, ...)
#define END_COMMAND(id)
#include "spec/commands.def"
};

// An object's name as Linux passes it: NUL-padded, at most 15 characters.
using ObjectName = std::array<char, 16>;

// One structure per command, e.g. MapCreateAttr; fields and layout are those of the member of
// Linux's union bpf_attr (linux/bpf.h), pointers as u64.
#define COMMAND(id, number, name, access) struct id##Attr {
#define FIELD(type, name, kind, ...) type name{};
#define END_COMMAND(id) \
    }                   \
    ;
#include "spec/commands.def"

}  // namespace ebpf::spec
