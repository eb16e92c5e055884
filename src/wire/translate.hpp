// SPDX-License-Identifier: MIT
//
// From an application's descriptors to handles of a session, wherever a command has them: in
// fields, in the values of maps that hold objects, in instructions and fd_array. It is the same for
// every transport, and follows from spec/commands.def and what is known of the map.
//
// A number that is no object of ours is not refused here: the execution context does it at the
// place where Linux looks at the descriptor, after the checks that come before. Only what kind of
// stranger it is (spec::kClosedHandle, spec::kForeignHandle) must be told, since a door cannot know
// an application's other files.
#pragma once

#include "wire/message.hpp"

namespace ebpf::wire {

struct Descriptors {
    void* self = nullptr;
    // The handle behind a descriptor. Errors: InvalidFd when it is closed, anything else when it is
    // an open file but not an object of this session.
    Result<u32> (*handle_of)(void* self, i32 descriptor) = nullptr;

    // The handle, or the reserved one that says why there is none.
    u32 handle(i32 descriptor) const;
};

// Puts handles in place of the command's descriptor fields. `attr` is its whole structure.
void translate_fields(const spec::CommandInfo& command, void* attr, const Descriptors& descriptors);

// The same for an array of descriptors that a field counts (PROG_INSTALL's), in place.
void translate_array(const spec::CommandInfo& command, void* attr, const Descriptors& descriptors);

// The handle of the map that the command is about, 0 when there is none.
u32 map_handle(const spec::CommandInfo& command, const void* attr);
// Of the command in which values go in to a map that holds objects: how many there are, each a
// descriptor of 4 bytes behind the field's pointer; else 0, also without a pointer. `shape` is the
// map's.
u64 values_with_handles(const spec::CommandInfo& command, const void* attr, const Shape& shape);
// Whether the command has such values for some maps, so that the shape must be known.
bool may_have_handles(const spec::CommandInfo& command);
// Where those values lie.
u32* values_at(const spec::CommandInfo& command, const void* attr);
// Fills `handles`, one for each of values_with_handles(), and lets the attribute point to them;
// they may be the values themselves.
void translate_values(const spec::CommandInfo& command, void* attr, std::span<u32> handles,
                      const Descriptors& descriptors);

// Puts handles in place of descriptors into the instructions of PROG_LOAD (`slots`, a copy) and its
// fd_array (null, or a copy of `fd_array_used(slots)` entries). Errors: those of `handle_of`, at
// the instruction; InvalidPointer when an instruction needs fd_array and there is none.
Status translate_instructions(MutableBytes slots, std::span<i32> fd_array,
                              const Descriptors& descriptors);

}  // namespace ebpf::wire
