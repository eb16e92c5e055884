// SPDX-License-Identifier: MIT
// What a program is verified against, from its type and dialect.
#pragma once

#include "ir/environment.hpp"

namespace ebpf::engine {

// `kernel_types`: those of the kernel that the program is for, null when not known; they must
// outlive the result. Errors: Unsupported, naming the type, when this version has no description of
// it in the program's dialect, or when that kernel lacks the function that the program is for.
Result<ir::Environment> environment_of(const ir::Program& program,
                                       const btf::Types* kernel_types = nullptr);

}  // namespace ebpf::engine
