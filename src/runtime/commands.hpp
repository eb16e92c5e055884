// SPDX-License-Identifier: MIT
#pragma once

#include "spec/door.hpp"

namespace ebpf::runtime {

class Runtime;

// Carries out a command; `attr` is its structure. NotSupported names a command that the execution
// context does not have; AccessDenied one that only the trusted service may use.
Result<i64> dispatch(Runtime& runtime, const spec::Caller& caller, spec::Command command,
                     void* attr);

}  // namespace ebpf::runtime
