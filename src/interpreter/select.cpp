// SPDX-License-Identifier: MIT
#include "interpreter/select.hpp"

#include <limits>
#include <utility>

#include "isa/registers.hpp"
#include "isa/semantics.hpp"

namespace ebpf::interpreter {
namespace {

// What runs each row of isa's table; kCount where there is nothing.
constexpr auto kHandlerOf = [] {
    std::array<Handler, isa::kEncodings.size()> handlers{};
    handlers.fill(Handler::kCount);
    const auto put = [&](Form form, u8 kind, Width width, u8 from, Handler handler) {
        Insn insn;
        insn.form = form;
        insn.kind = kind;
        insn.width = width;
        insn.from_bits = from;
        const isa::Encoding* row = isa::find_encoding(insn);
        if (row != nullptr)
            handlers[static_cast<std::size_t>(row - isa::kEncodings.data())] = handler;
    };
#define HANDLER(name, form, kind, width, from, code) \
    put(Form::form, static_cast<u8>(kind), Width::width, from, Handler::name);
#define ALSO(name, form, kind, width, from) \
    put(Form::form, static_cast<u8>(kind), Width::width, from, Handler::name);
#define COMBINED(...)
#include "interpreter/handlers.def"
    return handlers;
}();

// Every legal instruction has a handler but those that interpreter.hpp says are refused.
consteval bool complete() {
    for (std::size_t i = 0; i < isa::kEncodings.size(); ++i) {
        const isa::Encoding& row = isa::kEncodings[i];
        const bool refused =
            row.unsupported != nullptr || row.form == Form::LegacyLoad ||
            (row.form == Form::Call && static_cast<CallKind>(row.kind) == CallKind::Kfunc);
        if (refused != (kHandlerOf[i] == Handler::kCount)) return false;
    }
    return true;
}
static_assert(complete());

constexpr u64 kLowHalf = isa::semantics::truncate(Width::W32, ~u64{0});

void select_alu(const Insn& insn, Op& op) {
    const u64 all = isa::semantics::truncate(insn.width, ~u64{0});
    const bool reg = insn.form == Form::AluReg;
    op.a = insn.dst;
    op.b = reg ? insn.src : kZero;
    op.imm = reg ? all : static_cast<u64>(insn.imm);
    switch (insn.alu()) {
        case AluOp::Mov:
            op.a = reg ? insn.src : kZero;
            if (reg)
                op.imm = insn.width == Width::W64 ? 0 : all;
            else
                op.imm &= all;
            break;
        case AluOp::Add:
            if (reg) op.imm = 0;
            break;
        case AluOp::Sub:
            if (!reg) op.imm = 0 - op.imm;
            break;
        case AluOp::And:
            op.imm &= all;
            break;
        case AluOp::Lsh:
        case AluOp::Rsh:
            if (reg) break;
            op.off = static_cast<i16>(insn.imm & (isa::bits(insn.width) - 1));
            op.imm = all;
            break;
        default:
            break;
    }
}

bool is(const Op& op, Handler handler) {
    return op.handler == static_cast<u16>(handler);
}
bool is_copy(const Op& op) {
    return is(op, Handler::AddImm) && op.imm == 0;
}
bool is_low_copy(const Op& op) {
    return is(op, Handler::AndImm) && op.imm == kLowHalf;
}

// Whether r[op.a] is replaced by what is made of it, and nothing else happens.
bool replaces_a(const Op& op, const Insn& insn) {
    return op.a == op.dst && isa::only_sets_dst(insn);
}

// Whether only the low halves of registers matter.
bool reads_low_halves(const Insn& insn) {
    return insn.width == Width::W32 &&
           (insn.form == Form::AluReg || insn.form == Form::AluImm || insn.form == Form::Neg);
}

// Copies of `op`, or of the half that matters.
bool merge_copy(const Op& op, Op& next, const Insn& insn) {
    if (!is_copy(op) && !(is_low_copy(op) && reads_low_halves(insn))) return false;
    if (next.b == op.dst) next.b = op.a;
    return true;
}

// Loads from a sum, by width.
Handler load_at(Width width) {
    switch (width) {
        case Width::W8:
            return Handler::LoadAt8;
        case Width::W16:
            return Handler::LoadAt16;
        case Width::W32:
            return Handler::LoadAt32;
        case Width::W64:
            break;
    }
    return Handler::LoadAt64;
}

// Sums of two registers and a constant, and what is loaded from there.
bool merge_sum(const Op& op, Op& next, const Insn& insn) {
    const bool of_two = is(op, Handler::Sum);
    if (!of_two && !is(op, Handler::AddImm)) return false;
    if (insn.form == Form::Load) {
        const i64 off = next.off + static_cast<i64>(op.imm);
        if (static_cast<i64>(op.imm) != static_cast<i16>(op.imm) || off != static_cast<i16>(off))
            return false;
        next.off = static_cast<i16>(off);
        if (of_two) next.handler = static_cast<u16>(load_at(insn.width));
    } else if (is(next, Handler::AddImm)) {
        next.imm += op.imm;
        next.handler = op.handler;
    } else if (is(next, Handler::Sum) && !of_two && next.b != op.dst) {
        next.imm += op.imm;
        return true;
    } else {
        return false;
    }
    if (of_two) next.b = op.b;
    return true;
}

// (((x & m) >> c) & n) >> d, where `off` is 0 in an AndImm; or ((x << c) & m) >> c.
bool merge_bits(const Op& op, Op& next) {
    if (!is(next, Handler::AndImm) && !is(next, Handler::RshImm)) return false;
    if (is(op, Handler::LshImm) && is(next, Handler::RshImm) && op.off == next.off) {
        next.imm = (op.imm & next.imm) >> op.off;
        next.off = 0;
    } else if ((is(op, Handler::AndImm) || is(op, Handler::RshImm)) && op.off + next.off < 64) {
        next.imm = op.imm & next.imm << op.off;
        next.off = static_cast<i16>(next.off + op.off);
    } else {
        return false;
    }
    next.handler = static_cast<u16>(next.off == 0 ? Handler::AndImm : Handler::RshImm);
    return true;
}

}  // namespace

std::optional<Handler> handler_of(const Insn& insn) {
    const isa::Encoding* row = isa::find_encoding(insn);
    const Handler handler = kHandlerOf[static_cast<std::size_t>(row - isa::kEncodings.data())];
    return handler == Handler::kCount ? std::nullopt : std::optional(handler);
}

Op select(const Insn& insn) {
    Op op;
    op.handler = static_cast<u16>(*handler_of(insn));
    op.dst = insn.dst;
    op.a = insn.dst;
    op.b = insn.src;
    switch (insn.form) {
        case Form::AluReg:
        case Form::AluImm:
            select_alu(insn, op);
            break;
        case Form::MovSx:
            op.a = insn.src;
            break;
        case Form::Load:
        case Form::LoadSx:
            op.a = insn.src;
            op.off = static_cast<i16>(insn.off);
            break;
        case Form::StoreReg:  // the value is `a`, being written last more often than the address
            std::swap(op.a, op.b);
            op.off = static_cast<i16>(insn.off);
            break;
        case Form::StoreImm:
        case Form::Atomic:
            op.off = static_cast<i16>(insn.off);
            op.imm = static_cast<u64>(insn.imm);
            break;
        case Form::JmpReg:
        case Form::JmpImm:
            op.branch = {.constant = static_cast<i32>(insn.imm), .distance = 0};
            break;
        case Form::Wide:
            op.a = kZero;
            op.imm = static_cast<u64>(insn.imm);
            break;
        case Form::Neg:
        case Form::Endian:
        case Form::MayGoto:
        case Form::Ja:
        case Form::Call:
        case Form::CallReg:
        case Form::Exit:
        case Form::LegacyLoad:
            break;
    }
    return op;
}

bool has_target(const Insn& insn) {
    return insn.is_jump() || (insn.form == Form::Call && insn.call() == CallKind::Local) ||
           (insn.form == Form::Wide && insn.wide() == WideKind::Function);
}

bool merge(const Op& op, Op& next, const Insn& insn) {
    if (next.a != op.dst || !replaces_a(next, insn)) return false;
    if (op.cost + next.cost > std::numeric_limits<u8>::max()) return false;
    if (!merge_copy(op, next, insn) && !merge_sum(op, next, insn) && !merge_bits(op, next))
        return false;
    next.a = op.a;
    next.cost = static_cast<u8>(next.cost + op.cost);
    return true;
}

}  // namespace ebpf::interpreter
