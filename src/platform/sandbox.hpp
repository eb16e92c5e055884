// SPDX-License-Identifier: MIT
//
// A process that may do next to nothing, for work on bytes that an attacker may have written. Linux
// only, user mode.
//
// It is made in three steps, each in another process:
//
//     start_confined()   in who wants it: a new process in name spaces of its own (no network, no
//                        other process, no shared memory objects to see), which starts a program
//                        anew, so that nothing of the caller's memory comes along, with one socket
//     become_zygote()    in that program, before anything untrusted: an empty read-only root
//                        directory, another user, no capabilities, few system calls. It then forks
//                        a process for each piece of work: what one piece leaves in memory the
//                        next does not see
//     become_worker()    in each fork: limits of memory and time, and hardly any system call
//
// Where the system refuses a layer (a container, a kernel without user name spaces for everybody)
// the others stand; which ones do is in Confinement. Without the filter of system calls nothing
// starts.
#pragma once

#include "base/error.hpp"

namespace ebpf::platform {

// Which layers stand, and the system's number of the error that took the first of the others.
struct Confinement {
    bool user = false;        // a user name space, so that it works for everybody
    bool processes = false;   // name spaces: process ids, and with them who can be signalled,
    bool network = false;     // interfaces and abstract sockets,
    bool ipc = false;         // System V and POSIX objects
    bool files = false;       // an empty, read-only root directory
    bool other_user = false;  // started by root, and runs as nobody
    bool filter = false;      // of system calls
    i32 refused = 0;          // errno
};

struct ConfinedProcess {
    i32 pid = -1;
    i32 control = -1;  // a SOCK_SEQPACKET socket; the caller closes it
};

// The program's file, and what stands between its name and the two arguments that are added: the
// number of its descriptor of the control socket, and a number for become_zygote(). At most 14.
// `keep_stderr` for tests; else input, output and errors go nowhere. The caller waits for the
// process. Errors: Failed with errno.
Result<ConfinedProcess> start_confined(const char* program, std::span<const char* const> arguments,
                                       bool keep_stderr);

// Called by a process with one thread. `control` stays open; `layers` is the number that
// start_confined() passed. Errors: Failed, when the filter cannot be installed.
Result<Confinement> become_zygote(i32 control, u32 layers);

struct WorkerLimits {
    u64 memory_bytes = u64{1} << 30;  // of address space
    u32 cpu_seconds = 60;
};
// After it the process can read and write `descriptor`, get memory that is not executable, read the
// time, and end; anything else ends it. All other descriptors are closed. Errors: Failed.
Status become_worker(i32 descriptor, const WorkerLimits& limits);

// What the kernel ended a process with, in words, from its wait status: "signal 31 (SYS)".
std::size_t describe_wait_status(i32 status, std::span<char> out);

}  // namespace ebpf::platform
