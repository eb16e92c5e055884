// SPDX-License-Identifier: MIT
//
// What prepare() makes of a program and run() runs: a header and 16-byte operations with addresses,
// constants and jump distances in place. Most instructions become one; some share one with the next
// (select.hpp).
#pragma once

#include "code/engine.hpp"
#include "isa/table.hpp"

namespace ebpf::interpreter {

using isa::AluOp;
using isa::AtomicOp;
using isa::CallKind;
using isa::Cond;
using isa::EndianOp;
using isa::Form;
using isa::Insn;
using isa::WideKind;
using isa::Width;

// Handlers of one operation; those of sequences have the numbers behind (sequences.hpp).
enum class Handler : u16 {
#define HANDLER(name, form, kind, width, from, code) name,
#include "interpreter/handlers.def"
    kCount,
};
inline constexpr std::size_t kSingles = static_cast<std::size_t>(Handler::kCount);
// While preparing, of what control comes to from elsewhere than from the operation before.
inline constexpr u16 kReached = 1 << 15;

// One more register than programs have: what reads none reads it.
inline constexpr isa::Reg kZero = isa::kRegisterCount;
inline constexpr int kRegisters = isa::kRegisterCount + 1;

struct Branch {
    i32 constant;  // what a register is compared with
    i32 distance;  // in bytes, from this operation to the target
};

struct Op {
    u16 handler = 0;
    isa::Reg dst = 0;
    isa::Reg a = 0, b = 0;
    u8 cost = 1;  // the instructions that it stands for
    i16 off = 0;  // memory offset or shift count
    union {
        u64 imm = 0;  // constant, sign-extended immediate, mask or address
        Branch branch;
    };
};
static_assert(sizeof(Op) == 16);

struct Header {
    const Op* entry = nullptr;
    u64 reserved = 0;
};
static_assert(sizeof(Header) == 16);

}  // namespace ebpf::interpreter
