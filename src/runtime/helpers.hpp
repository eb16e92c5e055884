// SPDX-License-Identifier: MIT
// The addresses of the general helpers.
#pragma once

#include "code/engine.hpp"
#include "spec/helpers.hpp"

namespace ebpf::runtime {

// What compiled code calls for `helper` in programs of `dialect`; null when the execution context
// does not have it (then only the program type's provider can).
code::HelperFn helper_address(spec::Dialect dialect, spec::Helper helper);

}  // namespace ebpf::runtime
