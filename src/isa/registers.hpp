// SPDX-License-Identifier: MIT
// Which registers an instruction reads and writes: what every analysis of liveness begins with.
#pragma once

#include "isa/insn.hpp"

namespace ebpf::isa {

// Bit r = register r.
using RegSet = u16;
constexpr RegSet reg_set(Reg r) {
    return static_cast<RegSet>(1u << r);
}
inline constexpr RegSet kCallArgs = 0b11'1110;          // r1 to r5
inline constexpr RegSet kCallClobbers = 0b11'1111;      // r0 to r5
inline constexpr RegSet kCalleeSaved = 0b11'1100'0000;  // r6 to r9
inline constexpr RegSet kAllRegs = 0b111'1111'1111;

struct RegUse {
    RegSet reads = 0;
    RegSet writes = 0;
};

// Arithmetic: what it does is all in its register, made of registers and constants.
constexpr bool is_arithmetic(const Insn& insn) {
    return insn.form == Form::AluReg || insn.form == Form::AluImm || insn.form == Form::Neg ||
           insn.form == Form::MovSx || insn.form == Form::Endian;
}

// Whether nothing but dst is another after it: arithmetic, loads and constants.
constexpr bool only_sets_dst(const Insn& insn) {
    return is_arithmetic(insn) || insn.form == Form::Load || insn.form == Form::LoadSx ||
           insn.form == Form::Wide;
}

// What `insn` reads and writes; calls read r1 to r5 whatever their prototype.
RegUse registers_of(const Insn& insn);

}  // namespace ebpf::isa
