// SPDX-License-Identifier: MIT
// What a program is verified against, from its type and dialect.
#pragma once

#include "ir/environment.hpp"

namespace ebpf::engine {

// Unsupported, naming the type, when this version has no description of it in the program's
// dialect.
Result<ir::Environment> environment_of(const ir::Program& program);

}  // namespace ebpf::engine
