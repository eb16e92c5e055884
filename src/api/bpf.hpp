// SPDX-License-Identifier: MIT
//
// bpf() itself: an application's attribute to the door and back. Everything about a command's
// fields comes from spec/commands.def; the only command with a body of its own is PROG_LOAD, which
// goes to the compiling service.
#pragma once

#include <bpf/bpf.h>

#include "api/session.hpp"
#include "spec/ids.hpp"

namespace ebpf::api {

// Carries out a command for the application: `attr` is read and written as Linux's system call does
// it, `size` is the part of it that the caller knows. The value is 0 or a new descriptor. Errors:
// TooLarge when a field beyond the known attribute is not zero, InvalidArgument for an unknown
// command or a field that must be zero, InvalidPointer, InvalidFd, and those of the command.
Result<int> bpf(Session& session, u32 command, void* attr, u32 size);

// The same for the library's own calls: the whole structure of one command.
template <typename Attr>
Result<int> bpf(spec::Command command, Attr& attr) {
    Session* const here = session();
    if (!here) return fail(Errc::NoMemory, {}, "execution context");
    return bpf(*here, static_cast<u32>(command), &attr, sizeof attr);
}

// Size in bytes of a map's value as applications pass it: a per-CPU map's for every slot.
size_t user_value_size(spec::MapType type, u32 value_size);

// Closes a descriptor that the library made.
void close_descriptor(int descriptor);
// Lets go of what the application has closed itself since.
void sweep_descriptors();

inline u64 address(const void* pointer) {
    return reinterpret_cast<u64>(pointer);
}

}  // namespace ebpf::api
