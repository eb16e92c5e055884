// SPDX-License-Identifier: MIT
// What the kernel's types say of the function that a program is attached to.
#pragma once

#include "ir/environment.hpp"

namespace ebpf::ir {

// The arguments that a program with this attach type gets at `target` ("sched_switch" of
// "tp_btf/sched_switch"). Errors: ObjectNotFound when the kernel has no such function, Unsupported
// for an attach type without arguments, those of a prototype that cannot be.
Result<KernelArguments> kernel_arguments(const btf::Types& types, spec::AttachType attach,
                                         std::string_view target);

}  // namespace ebpf::ir
