// SPDX-License-Identifier: MIT
//
// The other end of pool.hpp: the program that the daemon starts as its compiling child. It confines
// itself (platform/sandbox.hpp) and then forks one worker for each job, so that nothing of a job is
// left for the next: a worker that was taken over by the program that it verified dies with it.
#pragma once

#include <span>

#include "engine/job.hpp"
#include "platform/sandbox.hpp"

namespace ebpf::compile_child {

// What crosses the control socket; host byte order, both ends are one machine's.
struct Ready {  // child to daemon, once
    platform::Confinement confinement{};
};
struct Start {  // daemon to child, with the worker's end of a stream socket
    platform::WorkerLimits limits{};
};
struct Ended {  // child to daemon, when the worker is gone
    i32 wait_status = 0;
};

// Over the stream: a job from the daemon and an outcome back, each behind its size.
struct Piece {
    u32 size = 0;
};

using Compile = engine::CompileOutcome (*)(const engine::CompileJob& job);

// The child's main. `arguments` are those that start_confined() added: the control socket and a
// number. `warm_up` is compiled before anything untrusted comes, so that workers find code and
// memory in place. Returns an exit status for arguments that are none; otherwise the process ends
// with the daemon.
int run(std::span<char* const> arguments, Compile compile, const engine::CompileJob& warm_up);

// The child as the daemon has it: run() with engine::compile_job.
int run(std::span<char* const> arguments);

}  // namespace ebpf::compile_child
