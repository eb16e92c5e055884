// SPDX-License-Identifier: MIT
// Between bytes and instructions. Both directions are driven by the table (instructions.def).
#pragma once

#include "base/error.hpp"
#include "isa/insn.hpp"

namespace ebpf::isa {

inline constexpr u32 kMaxSlots = 1'000'000;  // Linux's limit for privileged callers

// Decodes the instruction that starts at slot `pc` of `slots` (8-byte little-endian slots). Errors:
// BadOpcode, ReservedField, BadRegister, Truncated (a two-slot instruction cut in half), each at
// that slot and with the name of the field. Jump targets are not checked here.
Result<Insn> decode(Bytes slots, u32 pc);

// Writes slots() slots; the inverse of decode for every legal instruction. BadFormat when the
// fields do not make a legal instruction (e.g. an immediate that does not fit).
Status encode(const Insn& insn, std::span<Slot, 2> out);

}  // namespace ebpf::isa
