// SPDX-License-Identifier: MIT
//
// What a run of code that nobody verified may touch: checked access by access, in an engine that
// can (the interpreter). The run ends with Fault::BadAccess at the first that lies outside.
#pragma once

#include "code/engine.hpp"

namespace ebpf::code {

struct Range {
    u64 begin = 0;
    u64 size = 0;
    bool writable = false;
};

// A program's stack frame, on the engine's own; they form a list from the innermost.
struct StackFrame {
    Range memory{};
    const StackFrame* outer = nullptr;
};

// Of one run.
struct Bounds {
    Range memory{};                      // what the run was entered with
    std::span<const Range> ranges{};     // and what it may touch besides
    const StackFrame* frames = nullptr;  // the engine's
    const void* owner = nullptr;         // may_call's
    // Whether the helper at address `function` may be called with r1..r5 of `args`: helpers trust
    // their arguments as far as a verifier would have proven them.
    bool (*may_call)(Invocation* invocation, u64 function, const u64 args[5]) = nullptr;
};

// `size` is 1 or more.
constexpr bool contains(const Range& range, u64 address, u64 size) {
    return size <= range.size && address - range.begin <= range.size - size;
}

// Whether all bytes of `address` .. `address + size` may be read, or also written.
bool may_access(const Bounds& bounds, u64 address, u64 size, bool writes);

}  // namespace ebpf::code
