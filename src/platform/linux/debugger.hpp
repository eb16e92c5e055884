// SPDX-License-Identifier: MIT
//
// Generated code as a debugger sees it: GDB's JIT interface ("JIT Compilation Interface" in its
// manual; LLDB has it too). The debugger stops at a function that does nothing, and then reads from
// a list which code came or goes: object files in memory.
#pragma once

#include "platform/memory.hpp"

namespace ebpf::platform {

// The name of a function of generated code, as profilers and debuggers are told it.
struct CodeName {
    char text[256];
    explicit CodeName(const CodePages::Function& function);
};

// Lists functions of the pages at `pages`. `unwind` begins with their .eh_frame section, which ends
// with a terminator, or is empty. Without memory for it the code is not listed.
void show_code(const void* pages, const CodePages::Functions& functions, Bytes unwind);
// Takes back what was listed of those pages, if anything.
void hide_code(const void* pages);

}  // namespace ebpf::platform
