// SPDX-License-Identifier: MIT
// What a program is verified and compiled against, besides itself.
#pragma once

#include "ir/program.hpp"

namespace ebpf::ir {

struct Privileges {
    bool root = true;  // Linux: CAP_BPF + CAP_PERFMON; pointer comparison and leaks follow
    bool allow_ptr_leaks = true;  // Linux's CAP_PERFMON
};

struct Environment {
    const spec::ProgramTypeInfo* type = nullptr;  // never null when analysed
    Privileges privileges{};
    bool size_in_r2 = false;  // r2 is a number at entry (the context's size), not unset
};

}  // namespace ebpf::ir
