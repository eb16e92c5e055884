// SPDX-License-Identifier: MIT
#include "jit/peephole.hpp"

namespace ebpf::jit {

using isa::AluOp;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

namespace {

bool is_reg_op(const Insn* insn, AluOp op, Width width) {
    return insn != nullptr && insn->form == Form::AluReg && insn->alu() == op &&
           insn->width == width;
}

bool is_imm_op(const Insn* insn, AluOp op, Width width, Reg dst) {
    return insn != nullptr && insn->form == Form::AluImm && insn->alu() == op &&
           insn->width == width && insn->dst == dst;
}

// A shift of a register by a constant that is neither 0 nor as much as the width.
bool is_shift(const Insn* insn) {
    if (insn == nullptr || insn->form != Form::AluImm) return false;
    const AluOp op = insn->alu();
    return (op == AluOp::Lsh || op == AluOp::Rsh || op == AluOp::Arsh) && insn->imm > 0 &&
           insn->imm < isa::bits(insn->width);
}

}  // namespace

std::optional<Extension> match_extension(const Sequence& s) {
    Extension e;
    const Insn* first = s[0];
    if (first == nullptr) return {};
    u32 n = 0;
    std::optional<Reg> src;
    if (first->form == Form::AluReg && first->alu() == AluOp::Mov) {  // only low bits matter
        src = first->src;
        n = 1;
    }
    const Insn* up = s[n];
    const Insn* down = s[n + 1];
    if (!is_shift(up) || !is_shift(down) || up->alu() != AluOp::Lsh || down->alu() == AluOp::Lsh)
        return {};
    if (up->dst != down->dst || up->width != down->width) return {};
    if (n == 1 && first->dst != up->dst) return {};
    const int kept = isa::bits(up->width) - static_cast<int>(up->imm);
    if (kept != 8 && kept != 16 && kept != 32) return {};

    e.count = n + 2;
    e.dst = up->dst;
    e.src = src.value_or(up->dst);
    e.from = static_cast<Width>(kept / 8);
    e.sign = down->alu() == AluOp::Arsh;
    e.to = up->width;
    if (down->imm > up->imm) e.right = static_cast<u8>(down->imm - up->imm);
    if (down->imm < up->imm) e.left = static_cast<u8>(up->imm - down->imm);
    return e;
}

// What clang makes of x << n | x >> (width - n), with one copy of x or two:
//
//     mov a, x; shift a; [mov b, x;] shift b; or b, a  or  or a, b       (b is x without the
//     bracket)
std::optional<Rotation> match_rotation(const Sequence& s) {
    const Insn* copy = s[0];
    if (copy == nullptr || copy->form != Form::AluReg || copy->alu() != AluOp::Mov) return {};
    const Reg a = copy->dst;
    const Reg x = copy->src;
    if (a == x) return {};

    u32 n = 1;
    const Insn* shifts[2] = {nullptr, nullptr};  // of a, of b
    Reg b = x;
    if (is_reg_op(s[2], AluOp::Mov, copy->width) && s[2]->src == x && s[2]->dst != x &&
        s[2]->dst != a) {
        b = s[2]->dst;
        shifts[0] = s[1];
        shifts[1] = s[3];
        n = 4;
    } else {
        const bool a_first = s[1] != nullptr && s[1]->dst == a;
        shifts[0] = s[a_first ? 1 : 2];
        shifts[1] = s[a_first ? 2 : 1];
        n = 3;
    }
    if (s[1] == nullptr || s[2] == nullptr || !is_shift(shifts[0]) || !is_shift(shifts[1]))
        return {};
    const Width width = shifts[0]->width;
    if (shifts[0]->dst != a || shifts[1]->dst != b || shifts[1]->width != width) return {};
    // A 32-bit copy cannot feed a 64-bit rotation; the other way round only low halves matter.
    if (width == Width::W64 && copy->width != Width::W64) return {};
    const Insn& left = *shifts[shifts[0]->alu() == AluOp::Lsh ? 0 : 1];
    const Insn& right = *shifts[shifts[0]->alu() == AluOp::Lsh ? 1 : 0];
    if (left.alu() != AluOp::Lsh || right.alu() != AluOp::Rsh) return {};
    if (left.imm + right.imm != isa::bits(width)) return {};

    const Insn* join = s[n];
    if (!is_reg_op(join, AluOp::Or, width)) return {};
    const bool into_a = join->dst == a && join->src == b;
    const bool into_b = join->dst == b && join->src == a;
    if (!into_a && !into_b) return {};
    if (!s.dead_after(n, into_a ? b : a)) return {};
    return Rotation{n + 1, join->dst, x, width, static_cast<u8>(left.imm)};
}

namespace {

bool fits32(i64 value) {
    return value == static_cast<i32>(value);
}

// A memory access through `address.dst`, which nobody wants afterwards.
void add_access(const Sequence& s, Address& address) {
    const Insn* insn = s[address.count];
    if (insn == nullptr) return;
    const bool load = insn->form == Form::Load || insn->form == Form::LoadSx;
    const bool store = insn->form == Form::StoreReg || insn->form == Form::StoreImm;
    if (!load && !store) return;
    if ((load ? insn->src : insn->dst) != address.dst) return;
    if (insn->form == Form::StoreReg && insn->src == address.dst) return;
    const bool overwritten = load && insn->dst == address.dst;
    if (!overwritten && !s.dead_after(address.count, address.dst)) return;
    if (!fits32(i64{address.disp} + insn->off)) return;
    address.disp += insn->off;
    address.access = insn;
    ++address.count;
}

}  // namespace

// [mov t, x;] [lsh t, 1..3;] add t, y; [add t, constant;] [load or store at t]
// [mov t, x;] add t, constant; [load or store at t]
std::optional<Address> match_address(const Sequence& s) {
    const Insn* first = s[0];
    if (first == nullptr || (first->form != Form::AluReg && first->form != Form::AluImm)) return {};
    Address a;
    a.dst = first->dst;
    Reg x = first->dst;
    if (is_reg_op(first, AluOp::Mov, Width::W64)) {
        x = first->src;
        a.count = 1;
    }
    if (is_imm_op(s[a.count], AluOp::Lsh, Width::W64, a.dst) && s[a.count]->imm >= 1 &&
        s[a.count]->imm <= 3) {
        a.scale_log2 = static_cast<u8>(s[a.count]->imm);
        ++a.count;
    }
    const Insn* sum = s[a.count];
    if (is_reg_op(sum, AluOp::Add, Width::W64) && sum->dst == a.dst && sum->src != a.dst) {
        a.base = sum->src;
        a.index = x;
        ++a.count;
    } else if (a.scale_log2 == 0) {
        a.base = x;
    } else {
        return {};
    }
    if (is_imm_op(s[a.count], AluOp::Add, Width::W64, a.dst)) {
        a.disp = static_cast<i32>(s[a.count]->imm);
        ++a.count;
    }
    add_access(s, a);
    if (a.count < 2) return {};
    return a;
}

}  // namespace ebpf::jit
