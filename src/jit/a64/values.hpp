// SPDX-License-Identifier: MIT
//
// Values that are not computed yet. BPF's arithmetic has two operands where the machine's has
// three, one of which may be shifted or extended, and addresses are sums that the machine's loads
// and stores compute themselves. So copies, shifts, extensions, sums and products are not emitted
// where they stand but noted, as a function of what machine registers hold:
//
//     r1 = r2; r1 <<= 3; r1 += r3; r0 = *(u64 *)(r1 + 0)     ldr x7, [x2, x1, lsl #3]
//
// An instruction that reads such a register takes what was noted for its operand, where its form
// allows that; else the register is written first. What nobody reads is never written.
//
// What is noted holds as long as the registers that it names keep what they hold: before one of
// them is written, the registers whose values depend on it are. A noted value names its own
// register or ones whose values are not noted themselves, so that writing them is never circular.
// Nothing is noted at the ends of basic blocks, nor at calls.
#pragma once

#include <array>
#include <span>

#include "jit/a64/assembler.hpp"
#include "jit/analysis.hpp"

namespace ebpf::jit::a64 {

using isa::Reg;

// r0, r1, ...: see compiler.hpp. r10 has none: it is the stack pointer plus the frame's size.
inline constexpr std::array<Gpr, kRegisters> kReg = {7,  0,  1,   2,  3,  4,  19, 20,
                                                     21, 22, kSp, 13, 14, 15, 16};
inline constexpr Gpr kFrameTemp = 17;  // r10, where it must be in a register

struct Value {
    enum class Shape : u8 {
        Written,  // what the register holds
        Copy,     // base
        Shifted,  // base, by index.kind and index.amount, in `width`
        Field,    // the low `from` bits of base, extended to `width`, then shifted left
        Sum,      // base + index, or base + disp, of 64 bits
        Product,  // base * index.reg, in `width`
    } shape = Shape::Written;
    Width width = Width::W64;
    Gpr base = 0;
    Operand index{};  // of Field the amount only
    u8 from = 0;
    bool sign = false;
    bool has_index = false;
    i64 disp = 0;

    bool depends_on(Gpr r) const {
        return shape != Shape::Written &&
               (base == r || ((has_index || shape == Shape::Product) && index.reg == r));
    }
};

// A register that holds sp plus a distance.
struct FrameAddress {
    i64 disp = 0;
    Gpr reg = 0;
};

class Values {
  public:
    explicit Values(Assembler& assembler) : a_(assembler) { forget_bits(); }

    // Where a function's frame ends, from sp.
    void set_frame(u32 bytes) { frame_ = bytes; }
    void set_frame_addresses(std::span<const FrameAddress> addresses) {
        frame_addresses_.assign(addresses.begin(), addresses.end());
    }
    // Of the instructions that are lowered next, what is read behind them.
    void set_live(RegSet live) { live_ = live; }
    // Before a place that others come to: nothing is known of registers.
    void forget_bits() { bits_.fill(64); }
    // Writes what is noted of the live registers and of `read`; forgets the rest.
    void settle(RegSet read = 0);
    // Forgets what is noted of registers that nobody reads.
    void drop_dead();

    Value of(Reg r) const;
    // How many low bits of a register may be other than 0.
    u8 bits(Reg r) const;
    u8 bits_of(Gpr base) const;

    // A machine register whose low `w` bits are those of `r`.
    Gpr plain(Reg r, Width w);
    // The same as the last operand of an operation.
    struct Allowed {
        bool shift = true;    // lsl, lsr, asr
        bool rotate = false;  // and ror
        bool extend = false;  // uxtb ... sxtw, then lsl by up to 4
    };
    Operand operand(Reg r, Width w, Allowed allowed);
    // Whether operand() would be a shifted or extended one.
    bool has_operand(Reg r, Width w, Allowed allowed) const;
    // The register to store of `r` where only `w` bits are.
    Gpr stored(Reg r, Width w);

    bool is_noted(Reg r) const { return (noted_ & reg_set(r)) != 0; }

    // `d` = what is noted.
    void note(Reg d, const Value& value);
    void note_copy(Reg d, Reg s);
    void note_low_bits(Reg d, Reg s, u8 from, bool sign, Width width);
    // Before something is noted of `d` that names `base`, which plain() or operand() gave for `s`:
    // it will not be written.
    void hold(Reg d, Reg s, Gpr base);
    // The register of `d`, which is about to be written with a number of at most `bits` bits.
    Gpr define(Reg d, u8 bits = 64);
    // Writes the register, if its value is only noted.
    void write(Reg r);

    void add_imm(Width w, Gpr d, Gpr n, i64 value);

  private:
    using Shape = Value::Shape;
    static constexpr Gpr kTemp = 8;  // nobody else's

    void release(Gpr r, Reg but);
    void emit(Gpr d, const Value& v);
    u8 bits_of(const Value& v) const;
    static std::optional<Operand> as_operand(const Value& v, Width w, Allowed allowed);

    Assembler& a_;
    std::array<Value, kRegisters> values_{};
    std::array<u8, kRegisters> bits_{};
    RegSet noted_ = 0;
    RegSet live_ = 0;
    u32 frame_ = 0;
    std::vector<FrameAddress> frame_addresses_;
};

}  // namespace ebpf::jit::a64
