// SPDX-License-Identifier: MIT
//
// What prepare() makes of a program and run() runs: a header and one 16-byte operation per slot (so
// that targets need no table; the second slot of a two-slot instruction is never entered), with
// addresses, constants and jump distances in place.
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

enum class Handler : u16 {
#define HANDLER(name, form, kind, width, from, code) name,
#include "interpreter/handlers.def"
    kCount,
};

struct Op {
    Handler handler = Handler::kCount;
    isa::Reg dst = 0;
    isa::Reg src = 0;
    i32 off = 0;  // memory offset, or distance to the target from the next operation
    u64 imm = 0;  // constant, sign-extended immediate, or address
};
static_assert(sizeof(Op) == 16);

struct Header {
    const Op* entry = nullptr;
    u64 reserved = 0;
};
static_assert(sizeof(Header) == 16);

}  // namespace ebpf::interpreter
