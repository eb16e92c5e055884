// SPDX-License-Identifier: MIT
//
// What the C API works on: the door to an execution context, the session that owns this process'
// handles in it, the compiling service, and the descriptors. A composition root (products/) makes
// the one of its process.
#pragma once

#include "api/descriptors.hpp"
#include "engine/service.hpp"
#include "spec/door.hpp"

namespace ebpf::api {

struct Session {
    spec::Door door{};
    spec::Caller caller{};  // never privileged: the service has its own
    engine::Service* service = nullptr;
    Descriptors* descriptors = nullptr;
    u32 possible_cpus = 1;  // execution slots: values of a per-CPU map
};

// Defined by the composition root; made at the first call, never destroyed. Null when the execution
// context cannot be set up in this process (no memory).
Session* session();

}  // namespace ebpf::api
