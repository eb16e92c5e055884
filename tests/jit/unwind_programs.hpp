// SPDX-License-Identifier: MIT
// Programs with frames of each kind, from whose instructions a way back must be found.
#pragma once

namespace ebpf::jit::test::unwinding {

// r6 to r9 in each of two frames, ways out in the middle (r2 is at most 50) and by a helper.
inline constexpr char kWaysOut[] =
    "r6 = 1\n"
    "r9 = 2\n"
    "*(u64 *)(r10 - 128) = r9\n"
    "call +2\n"
    "r0 += r9\n"
    "exit\n"
    "r7 = r2\n"
    "*(u64 *)(r10 - 256) = r7\n"
    "if r7 > 50 goto +2\n"
    "r0 = r7\n"
    "exit\n"
    "r1 = 1\n"
    "call 1\n"
    "r0 += r7\n"
    "exit\n";

// A helper that gets the address of a function calls it.
inline constexpr char kCallback[] =
    "r7 = 7\n"
    "ld_pseudo r1, 0x4, 0x4\n"
    "call 1\n"
    "r0 += r7\n"
    "exit\n"
    "r6 = r1\n"
    "r9 = r2\n"
    "*(u64 *)(r10 - 16) = r9\n"
    "call 1\n"
    "r0 += r6\n"
    "exit\n";

}  // namespace ebpf::jit::test::unwinding
