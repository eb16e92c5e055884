// SPDX-License-Identifier: MIT
// Who runs: the process and thread that this code is in, and what lies in its memory.
#pragma once

#include <optional>

#include "base/types.hpp"

namespace ebpf::platform {

// Copies what lies at `address` of this process, whatever it is a number of: false, and nothing
// said about `to`, when a part of it cannot be read. In the Windows kernel always false: there is
// no way at DISPATCH to read what may not be there. <= DISPATCH.
bool read_memory(u64 address, MutableBytes to);

// The calling process' real user id and group id; nothing where users have no numbers. <= DISPATCH.
struct UserAndGroup {
    u32 user, group;
};
std::optional<UserAndGroup> current_user_and_group();

// The calling thread's name, cut to fit and filled with zeros, the last byte always one; false, and
// all zeros, where threads have none. `name` is not empty. <= DISPATCH.
bool current_thread_name(std::span<char> name);

// The memory node of the CPU that runs this thread now; 0 where that is not known. <= DISPATCH.
u32 current_numa_node();

// International atomic time, in nanoseconds since 1970; where the system does not know how many
// leap seconds there were, its own clock. <= DISPATCH.
u64 atomic_time_ns();

// A number that no other process gets until the system's next start. <= DISPATCH.
u64 process_start_key();
// When the calling thread was made, in 100 ns since 1601; 0 when not known. <= DISPATCH.
i64 thread_create_time();

// Whether the calling process is in the process-id name space that a file system calls `device` and
// `inode`; false where there are none. <= DISPATCH.
bool in_pid_namespace(u64 device, u64 inode);

}  // namespace ebpf::platform
