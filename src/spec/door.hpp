// SPDX-License-Identifier: MIT
//
// The one door: every operation on maps, programs, links and pins is a command with Linux's number
// and attribute layout (commands.def), whoever asks. In the embedded shape the door is this
// function call; across a process wire/ carries the same structures and answers with the same
// errors.
#pragma once

#include "base/error.hpp"
#include "spec/commands.hpp"
#include "spec/dialect.hpp"

namespace ebpf::spec {

// How much of a program a caller is told (BPF_OBJ_GET_INFO_BY_FD).
enum class Inside : u8 {
    Hidden,     // who was only handed its descriptor
    Code,       // its instructions, functions and lines; Linux: CAP_BPF
    Addresses,  // and its machine code, which has addresses in it; Linux: kallsyms_show_value()
};

// Who is asking. `session` is the door's own: handles are valid in the session that got them.
struct Caller {
    void* session = nullptr;
    Dialect dialect{};
    bool privileged = false;  // may use commands whose row says Privileged (PROG_INSTALL ...)
    Inside inside = Inside::Hidden;
    // Whether the caller is still there: a long command that nobody waits for ends with Canceled.
    // Null: it is. Not asked at DISPATCH.
    struct {
        const void* self = nullptr;
        bool (*call)(const void* self) = nullptr;
    } waits{};
};

// Handles that no session gives out: what a descriptor was that is none of the session's objects. A
// command that needs the object answers InvalidFd to the one and InvalidArgument to the other, as
// Linux does for a closed descriptor and for another file's.
inline constexpr u32 kClosedHandle = 0xffffffff;
inline constexpr u32 kForeignHandle = 0xfffffffe;

// Descriptor fields hold handles of the caller's session (an application's descriptors are
// translated before, by api/ or wire/). Pointer fields point into the caller's memory, already
// checked for the lengths that the command's row gives. `attr` is the command's structure of
// commands.hpp, input and output. The value is Linux's result: 0, or a new handle.
struct Door {
    void* self = nullptr;
    Result<i64> (*call)(void* self, const Caller& caller, Command command, void* attr) = nullptr;
    // A session ends: everything that only it held is released.
    void* (*open_session)(void* self) = nullptr;
    void (*close_session)(void* self, void* session) = nullptr;

    Result<i64> operator()(const Caller& caller, Command command, void* attr) const {
        return call(self, caller, command, attr);
    }
};

}  // namespace ebpf::spec
