// SPDX-License-Identifier: MIT
#pragma once

#include "base/types.hpp"
#include "isa/insn.hpp"

namespace ebpf::bench {

// Runs `slots` as every first interpreter of BPF does: fetch a slot, look at its opcode byte in one
// switch, go on. No decoding in advance, no checks, no helpers: a program without calls of helpers
// and without maps, which must be known to be well-formed. What ours is compared with.
u64 plain_switch(const isa::Slot* slots, const void* data, u64 size);

}  // namespace ebpf::bench
