// SPDX-License-Identifier: MIT
//
// Sequences of instructions that a compiler for BPF has to write out and a CPU has one instruction
// for: rotates, narrow extensions, address arithmetic. Each matcher looks at the instructions from
// `at` on and says how many of them it covers; none covers an instruction that is jumped to, other
// than the first, nor one beyond `end`. A register that the CPU's instruction leaves out must be
// dead afterwards.
#pragma once

#include <optional>

#include "jit/analysis.hpp"

namespace ebpf::jit {

struct Sequence {
    const ir::Program& program;
    const Analysis& analysis;
    u32 at;
    u32 end;  // of the function

    // The instruction `n` further on, or nullptr when a sequence from `at` cannot include it.
    const isa::Insn* operator[](u32 n) const {
        const u32 index = at + n;
        if (index >= end || (n > 0 && analysis.is_target[index])) return nullptr;
        return analysis.reachable[index] ? &program.insns[index] : nullptr;
    }
    // Whether `reg` is dead after the instruction `n` further on.
    bool dead_after(u32 n, isa::Reg reg) const {
        return (analysis.live_after[at + n] & reg_set(reg)) == 0;
    }
};

// [mov dst, src;] shl dst, 64 - bits; shr/sar dst, n  =  extension of the low `bits` bits, then a
// shift.
struct Extension {
    u32 count = 0;
    isa::Reg dst{}, src{};
    isa::Width from{};
    bool sign = false;
    isa::Width to{};  // W32 clears the upper half after a sign extension to 32 bits
    u8 left = 0;      // at most one of the two is not 0
    u8 right = 0;
};
std::optional<Extension> match_extension(const Sequence& s);

// dst = src rotated left by `left` bits.
struct Rotation {
    u32 count = 0;
    isa::Reg dst{}, src{};
    isa::Width width{};
    u8 left = 0;
};
std::optional<Rotation> match_rotation(const Sequence& s);

// base + (index << scale_log2) + disp, as one operand. What happens to it:
//   access == nullptr   it is put in dst
//   access              loaded or stored there, and no register of the sequence keeps the address;
//   and use             the register that was loaded is used once: the operand of an operation on
//                       another register (AluReg) or of a comparison (JmpReg, JmpImm)
// `access` and `use` are the sequence's last instructions.
struct Address {
    u32 count = 0;
    isa::Reg dst{}, base{};
    std::optional<isa::Reg> index;
    u8 scale_log2 = 0;
    i32 disp = 0;  // includes the access's offset
    const isa::Insn* access =
        nullptr;  // Load, LoadSx, StoreReg or StoreImm; Load where there is a use
    const isa::Insn* use = nullptr;
};
std::optional<Address> match_address(const Sequence& s);

}  // namespace ebpf::jit
