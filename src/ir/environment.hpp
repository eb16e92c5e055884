// SPDX-License-Identifier: MIT
// What a program is verified and compiled against, besides itself.
#pragma once

#include <optional>
#include <vector>

#include "btf/types.hpp"
#include "ir/program.hpp"

namespace ebpf::ir {

struct Privileges {
    bool root = true;  // Linux: CAP_BPF + CAP_PERFMON; pointer comparison and leaks follow
    bool allow_ptr_leaks = true;  // Linux's CAP_PERFMON
};

// The arguments of a function that a program is attached to, 8 bytes of context each: the structure
// that a pointer leads to (an id in the kernel's types), 0 for everything else.
using KernelArguments = std::vector<u32>;

struct Environment {
    const spec::ProgramTypeInfo* type = nullptr;  // never null when analysed
    Privileges privileges{};
    bool size_in_r2 = false;  // r2 is a number at entry (the context's size), not unset
    // Types of the kernel that the program is for; null: not known, and what needs them is
    // unsupported.
    const btf::Types* kernel_types = nullptr;
    std::optional<KernelArguments> arguments{};  // set where the context holds arguments
};

}  // namespace ebpf::ir
