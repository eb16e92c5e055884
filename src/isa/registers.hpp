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

// What `insn` reads and writes; calls read r1 to r5 whatever their prototype.
RegUse registers_of(const Insn& insn);

}  // namespace ebpf::isa
