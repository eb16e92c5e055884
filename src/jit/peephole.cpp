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

// Runs mov, add and shifts by 1 to 3 symbolically: what a register would hold, in terms of what the
// registers held before the sequence. Nothing is emitted meanwhile, so those values are still
// there.
class AddressMatcher {
  public:
    explicit AddressMatcher(const Sequence& s) : s_(s) {}

    std::optional<Address> run() {
        for (u32 n = 0; n < kLongest; ++n) {
            const Insn* insn = s_[n];
            if (insn == nullptr) break;
            if (is_access(*insn)) {
                take_access(*insn, n);
                break;
            }
            if (!step(*insn)) break;
            take_sum(n);
        }
        if (best_.count < 2) return {};
        return best_;
    }

  private:
    static constexpr u32 kLongest = 8;

    // base + (index << scale) + disp, any part of which may be missing.
    struct Sum {
        std::optional<Reg> base, index;
        u8 scale = 0;
        i64 disp = 0;
    };
    struct Pending {
        Reg reg{};
        Sum sum;
    };

    static bool fits32(i64 value) { return value == static_cast<i32>(value); }
    static bool is_access(const Insn& insn) {
        return insn.form == Form::Load || insn.form == Form::LoadSx ||
               insn.form == Form::StoreReg || insn.form == Form::StoreImm;
    }

    const Pending* find(Reg reg) const {
        for (u32 i = 0; i < pending_count_; ++i) {
            if (pending_[i].reg == reg) return &pending_[i];
        }
        return nullptr;
    }
    Sum value_of(Reg reg) const {
        const Pending* p = find(reg);
        return p != nullptr ? p->sum : Sum{.base = reg};
    }

    bool set(Reg reg, const Sum& sum) {
        for (u32 i = 0; i < pending_count_; ++i) {
            if (pending_[i].reg != reg) continue;
            pending_[i].sum = sum;
            return true;
        }
        if (pending_count_ == std::size(pending_)) return false;
        pending_[pending_count_++] = {reg, sum};
        return true;
    }

    // False when the result is no sum of that shape, or the instruction none of those.
    bool step(const Insn& insn) {
        if (insn.width != Width::W64) return false;
        if (insn.form == Form::AluReg && insn.alu() == AluOp::Mov)
            return set(insn.dst, value_of(insn.src));
        if (insn.form == Form::AluReg && insn.alu() == AluOp::Add) {
            const std::optional<Sum> sum = add(value_of(insn.dst), value_of(insn.src));
            return sum && set(insn.dst, *sum);
        }
        if (insn.form != Form::AluImm) return false;
        Sum sum = value_of(insn.dst);
        if (insn.alu() == AluOp::Add) {
            sum.disp += static_cast<i32>(insn.imm);
        } else if (insn.alu() == AluOp::Lsh && insn.imm >= 1 && insn.imm <= 3) {
            if (!sum.base || sum.index || sum.disp != 0) return false;
            sum = {.index = sum.base, .scale = static_cast<u8>(insn.imm)};
        } else {
            return false;
        }
        return fits32(sum.disp) && set(insn.dst, sum);
    }

    static std::optional<Sum> add(Sum a, Sum b) {
        if (a.index) std::swap(a, b);
        if (a.index || !a.base) return {};
        // a is base + disp.
        b.disp += a.disp;
        if (!b.base) {
            b.base = a.base;
        } else if (!b.index) {
            b.index = a.base;
        } else {
            return {};
        }
        if (!fits32(b.disp)) return {};
        return b;
    }

    // Registers that would have to be computed because somebody wants them after instruction `n`.
    u32 wanted_after(u32 n, const Pending** last) const {
        u32 wanted = 0;
        for (u32 i = 0; i < pending_count_; ++i) {
            if (s_.dead_after(n, pending_[i].reg)) continue;
            ++wanted;
            *last = &pending_[i];
        }
        return wanted;
    }

    bool fill(const Sum& sum, i16 off, u32 count) {
        if (!sum.base || !fits32(sum.disp + off)) return false;
        best_ = {.count = count,
                 .base = *sum.base,
                 .index = sum.index,
                 .scale_log2 = sum.scale,
                 .disp = static_cast<i32>(sum.disp + off)};
        return true;
    }

    void take_sum(u32 n) {
        const Pending* result = nullptr;
        if (wanted_after(n, &result) == 1 && fill(result->sum, 0, n + 1)) best_.dst = result->reg;
    }

    void take_access(const Insn& insn, u32 n) {
        const bool load = insn.form == Form::Load || insn.form == Form::LoadSx;
        if (insn.form == Form::StoreReg && find(insn.src) != nullptr) return;
        const Sum sum = value_of(load ? insn.src : insn.dst);
        if (insn.form == Form::Load && take_use(insn, sum, n)) return;
        const Pending* wanted = nullptr;
        const u32 count = wanted_after(n, &wanted);
        const bool only_loaded = count == 1 && load && wanted->reg == insn.dst;
        if (count != 0 && !only_loaded) return;
        if (fill(sum, insn.off, n + 1)) best_.access = &insn;
    }

    // Of what was loaded with a number that fits in it: signed or not, the upper bits are equal.
    static bool is_byte_comparison(const Insn& load, const Insn& use) {
        return load.width == Width::W8 && use.form == Form::JmpImm && use.imm >= 0 &&
               use.imm <= 0xFF && !isa::is_signed(use.cond());
    }

    // The instruction after the load, with memory as its operand.
    bool take_use(const Insn& load, const Sum& sum, u32 n) {
        const Insn* use = s_[n + 1];
        if (use == nullptr || !s_.dead_after(n + 1, load.dst)) return false;
        const bool whole = load.width == Width::W64 || load.width == Width::W32;
        if (whole ? use->width != load.width : !is_byte_comparison(load, *use)) return false;
        const Pending* wanted = nullptr;
        if (wanted_after(n + 1, &wanted) != 0) return false;
        if (use->form == Form::AluReg) {
            const AluOp op = use->alu();
            const bool has_form = op == AluOp::Add || op == AluOp::Sub || op == AluOp::Mul ||
                                  op == AluOp::Or || op == AluOp::And || op == AluOp::Xor;
            if (!has_form || use->src != load.dst) return false;
        } else if (use->form == Form::JmpReg) {
            if (use->cond() == isa::Cond::Set || (use->src != load.dst && use->dst != load.dst))
                return false;
        } else if (use->form == Form::JmpImm) {
            if (use->cond() == isa::Cond::Set || use->dst != load.dst) return false;
        } else {
            return false;
        }
        // The other operand must be what it was, and not what was loaded.
        if (use->form != Form::JmpImm) {
            const Reg other = use->src == load.dst ? use->dst : use->src;
            if (other == load.dst || find(other) != nullptr) return false;
        }
        if (!fill(sum, load.off, n + 2)) return false;
        best_.access = &load;
        best_.use = use;
        return true;
    }

    const Sequence& s_;
    Pending pending_[2];
    u32 pending_count_ = 0;
    Address best_;
};

}  // namespace

std::optional<Address> match_address(const Sequence& s) {
    return AddressMatcher(s).run();
}

}  // namespace ebpf::jit
