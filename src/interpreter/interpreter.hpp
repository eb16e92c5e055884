// SPDX-License-Identifier: MIT
//
// The interpreter: pre-decoded, threaded, the reference that the other engines are compared with.
// It runs verified programs without checks; `fuel` bounds the others.
#pragma once

#include "code/engine.hpp"

namespace ebpf::interpreter {

// Why a run ended early, in Invocation::fault.
enum class Fault : u8 { None, OutOfFuel, CallTooDeep, BadHelper };

// Registered with the runtime where a build wants an interpreter.
extern const code::EngineOps kEngine;

}  // namespace ebpf::interpreter
