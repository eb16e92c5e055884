// SPDX-License-Identifier: MIT
//
// Where BPF's registers live, and how the two calling conventions of x86-64 pass arguments.
//
// Both maps keep r1 to r5 in, or one move away from, the argument registers of helpers, and r6 to
// r10 in registers that a callee preserves, as BPF demands. Free in both: rcx, for shift counts,
// and r11; r12 holds the invocation. Nothing else is needed, not even by a division, which
// wants rax and rdx: those two are put aside in rcx and r11 when somebody still needs them. One
// more register is there for blinded constants.
#pragma once

#include <array>

#include "jit/analysis.hpp"
#include "jit/x64/assembler.hpp"

namespace ebpf::jit::x64 {

inline constexpr Gpr kInvocation = Gpr::R12;
inline constexpr Gpr kScratch = Gpr::R11;
inline constexpr Gpr kScratch2 = Gpr::Rcx;
inline constexpr isa::Reg kBlinded = isa::kRegisterCount;  // holds a constant for one instruction
// Of the registers from kSpare on, the first is kBlinded's; the others are the invocation's and the
// two for scratch, where those are not used (spare.cpp).
static_assert(kBlinded == kSpare);
inline constexpr isa::Reg kSpareInvocation = kSpare + 1, kSpareScratch2 = kSpare + 2,
                          kSpareScratch = kSpare + 3;
inline constexpr int kHelperArgs = 6;  // r1 to r5 and the invocation

struct Abi {
    std::array<Gpr, kRegisters> reg;          // r0 to r10 and the spare ones
    std::array<Gpr, kHelperArgs> helper_arg;  // None = on the stack
    std::array<Gpr, 3> entry_arg;             // r1, r2, invocation
    // Bytes below the return address of a function that calls helpers: their home area and stack
    // arguments. Argument i, when on the stack, is at 8 * i from the lowest.
    u32 outgoing;
    // Registers among r0 to r5 and the spare ones that live in registers which our caller wants
    // back.
    u16 borrowed;
};

inline constexpr Abi kSystemV = {
    {Gpr::Rax, Gpr::Rdi, Gpr::Rsi, Gpr::Rdx, Gpr::R10, Gpr::R8, Gpr::Rbx, Gpr::R13, Gpr::R14,
     Gpr::R15, Gpr::Rbp, Gpr::R9, kInvocation, kScratch2, kScratch},
    {Gpr::Rdi, Gpr::Rsi, Gpr::Rdx, Gpr::Rcx, Gpr::R8, Gpr::R9},
    {Gpr::Rdi, Gpr::Rsi, Gpr::Rdx},
    0,
    1u << kSpareInvocation,
};

inline constexpr Abi kWindowsX64 = {
    {Gpr::Rax, Gpr::R10, Gpr::Rdx, Gpr::R8, Gpr::R9, Gpr::Rsi, Gpr::Rbx, Gpr::R13, Gpr::R14,
     Gpr::R15, Gpr::Rbp, Gpr::Rdi, kInvocation, kScratch2, kScratch},
    {Gpr::Rcx, Gpr::Rdx, Gpr::R8, Gpr::R9, Gpr::None, Gpr::None},
    {Gpr::Rcx, Gpr::Rdx, Gpr::R8},
    48,
    1u << 5 | 1u << kBlinded | 1u << kSpareInvocation,
};

}  // namespace ebpf::jit::x64
