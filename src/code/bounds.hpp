// SPDX-License-Identifier: MIT
//
// What a run of code that nobody verified may touch: checked access by access, by the
// interpreter and by machine code of jit::Options::checked. The run ends with Fault::BadAccess at
// the first that lies outside.
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

// A writable range as compiled code looks at it: an access of 1 << n bytes that begins less than
// room[n] bytes behind `begin` is in it.
struct Window {
    u64 begin = 0;
    u64 room[4] = {};
};
constexpr Window window_of(const Range& range) {
    Window window{.begin = range.begin};
    for (u64 n = 0; n < 4; ++n) {
        const u64 size = u64{1} << n;
        if (size <= range.size) window.room[n] = range.size - size + 1;
    }
    return window;
}

struct Bounds;
// Bounds::access and call, for compiled code. An access is its size, and kWrites.
inline constexpr u32 kWrites = 1 << 8;
bool access_allowed(const Bounds* bounds, u64 address, u64 access);
u64 call_checked(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, Invocation* invocation);

// Of one run. What compiled code looks at comes first; offsets are fixed where they are said.
struct Bounds {
    Window window{};                     // of `memory`
    const StackFrame* frames = nullptr;  // offset 40: the engine's
    u64 callee = 0;                      // offset 48: the helper that `call` is to call
    // Offset 56: by the convention of the code.
    bool (*access)(const Bounds* bounds, u64 address, u64 access) = &access_allowed;
    HelperFn call = &call_checked;    // offset 64
    Range memory{};                   // what the run was entered with
    std::span<const Range> ranges{};  // and what it may touch besides
    const void* owner = nullptr;      // may_call's
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
