// SPDX-License-Identifier: MIT
//
// A decoded instruction, and the small enums that its meaning is made of. Nothing outside isa/ sees
// an opcode byte: decode() turns 8-byte slots into `Insn`, encode() turns them back, and everything
// else works by Form (the operand shape, 19 of them) with AluOp, Cond, Width ... as values.
//
// Numbers and names follow RFC 9669; the rows themselves are in instructions.def.
#pragma once

#include <optional>

#include "base/types.hpp"

namespace ebpf::isa {

// Registers r0..r10 are the program's; r10 is the frame pointer and cannot be written.
using Reg = u8;
inline constexpr Reg kFramePointer = 10;
inline constexpr int kRegisterCount = 11;
inline constexpr int kStackSize = 512;   // bytes per frame
inline constexpr int kMaxCallDepth = 8;  // frames, the entry's included

// The operand shape: which fields are operands, and so how to print, check, run or compile it.
enum class Form : u8 {
    AluReg,    // dst = dst op src            width 32 or 64
    AluImm,    // dst = dst op imm            imm sign-extended to 64 bits
    Neg,       // dst = -dst
    MovSx,     // dst = sign-extended low `from` bits of src   (from: 8, 16, 32)
    Endian,    // dst = to-little / to-big / byte-swapped low `width` bits of dst
    Load,      // dst = *(uN *)(src + off)    zero-extended
    LoadSx,    // dst = *(sN *)(src + off)    sign-extended to 64 bits
    StoreReg,  // *(uN *)(dst + off) = src
    StoreImm,  // *(uN *)(dst + off) = imm
    Atomic,    // atomic op on *(uN *)(dst + off) with src (and r0)
    JmpReg,    // if dst cond src goto +off   width of the comparison: 32 or 64
    JmpImm,    // if dst cond imm goto +off
    MayGoto,   // goes on a limited number of times in a run, then: goto +off
    Ja,       // goto +imm  (displacement in imm; width W64 = 16-bit form, W32 = gotol's 32-bit one)
    Call,     // call: see CallKind, operand in imm
    CallReg,  // call the helper whose number is in dst
    Exit,
    Wide,        // dst = 64-bit immediate or a loader-resolved address: see WideKind, two slots
    LegacyLoad,  // r0 = packet bytes (ABS/IND), deprecated
};

enum class AluOp : u8 { Add, Sub, Mul, Div, SDiv, Mod, SMod, Or, And, Xor, Lsh, Rsh, Arsh, Mov };
enum class Cond : u8 { Eq, Ne, Gt, Ge, Lt, Le, SGt, SGe, SLt, SLe, Set };
enum class EndianOp : u8 { ToLe, ToBe, Swap };
enum class AtomicOp : u8 {
    Add,
    Or,
    And,
    Xor,  // memory only
    FetchAdd,
    FetchOr,
    FetchAnd,
    FetchXor,  // src = old value
    Xchg,      // src = old value
    CmpXchg,   // r0 = old value; stores src if it equalled r0
};
enum class CallKind : u8 {
    Helper,  // imm = helper number (src 0), zero-extended
    Local,   // imm = displacement in slots to the subprogram (src 1)
    Kfunc,   // imm = BTF id of the function (src 2); `off` = index of the BTF descriptor
};
// The `src` field of the two-slot instruction. After linking (ir/) maps are always *Index kinds.
enum class WideKind : u8 {
    Imm64,          // 0: imm = the constant
    MapFd,          // 1: low 32 bits of imm = descriptor
    MapFdValue,     // 2: low 32 bits = descriptor, high 32 bits = offset into the value
    BtfId,          // 3: low 32 bits = BTF id of a variable, high 32 bits = descriptor of its BTF
    Function,       // 4: imm = displacement in slots to a subprogram, from the second slot
    MapIndex,       // 5: low 32 bits = index into the program's map table
    MapIndexValue,  // 6: low 32 bits = index, high 32 bits = offset into the value
};
enum class LegacyMode : u8 { Absolute, Indirect };

// The condition that holds where `cond` does not; a test of bits has none.
constexpr std::optional<Cond> inverse(Cond cond) {
    switch (cond) {
        case Cond::Eq:
            return Cond::Ne;
        case Cond::Ne:
            return Cond::Eq;
        case Cond::Gt:
            return Cond::Le;
        case Cond::Ge:
            return Cond::Lt;
        case Cond::Lt:
            return Cond::Ge;
        case Cond::Le:
            return Cond::Gt;
        case Cond::SGt:
            return Cond::SLe;
        case Cond::SGe:
            return Cond::SLt;
        case Cond::SLt:
            return Cond::SGe;
        case Cond::SLe:
            return Cond::SGt;
        case Cond::Set:
            break;
    }
    return std::nullopt;
}
constexpr bool is_signed(Cond cond) {
    return cond >= Cond::SGt && cond <= Cond::SLe;
}
// The condition that holds for (b, a) when `cond` holds for (a, b).
constexpr Cond mirrored(Cond cond) {
    switch (cond) {
        case Cond::Gt:
            return Cond::Lt;
        case Cond::Ge:
            return Cond::Le;
        case Cond::Lt:
            return Cond::Gt;
        case Cond::Le:
            return Cond::Ge;
        case Cond::SGt:
            return Cond::SLt;
        case Cond::SGe:
            return Cond::SLe;
        case Cond::SLt:
            return Cond::SGt;
        case Cond::SLe:
            return Cond::SGe;
        case Cond::Eq:
        case Cond::Ne:
        case Cond::Set:
            return cond;
    }
    return cond;
}

// Sizes in bytes, so that `width` can be used in address arithmetic.
enum class Width : u8 { W8 = 1, W16 = 2, W32 = 4, W64 = 8 };
constexpr int bytes(Width w) {
    return static_cast<int>(w);
}
constexpr int bits(Width w) {
    return 8 * static_cast<int>(w);
}

// One instruction; POD, 16 bytes. `kind` holds the AluOp, Cond, ... of the form, `width` the
// operation's or the memory access's width. Fields that the form does not use are zero.
struct Insn {
    Form form = Form::Exit;
    u8 kind = 0;
    Width width = Width::W64;
    Reg dst = 0;
    Reg src = 0;
    u8 from_bits = 0;  // MovSx only: 8, 16 or 32
    i16 off = 0;       // memory offset, or displacement of JmpReg/JmpImm in slots
    i64 imm = 0;

    constexpr AluOp alu() const { return static_cast<AluOp>(kind); }
    constexpr Cond cond() const { return static_cast<Cond>(kind); }
    constexpr EndianOp endian() const { return static_cast<EndianOp>(kind); }
    constexpr AtomicOp atomic() const { return static_cast<AtomicOp>(kind); }
    constexpr CallKind call() const { return static_cast<CallKind>(kind); }
    constexpr WideKind wide() const { return static_cast<WideKind>(kind); }
    constexpr LegacyMode legacy() const { return static_cast<LegacyMode>(kind); }

    constexpr bool is64() const { return width == Width::W64; }
    // 8-byte slots that it takes in memory.
    constexpr int slots() const { return form == Form::Wide ? 2 : 1; }
    // A jump that may go on to the next instruction; its displacement is in `off`.
    constexpr bool is_conditional() const {
        return form == Form::JmpReg || form == Form::JmpImm || form == Form::MayGoto;
    }
    constexpr bool is_jump() const { return is_conditional() || form == Form::Ja; }
    // Slots from the instruction after this one to the target of a jump.
    constexpr i64 displacement() const { return form == Form::Ja ? imm : off; }
    // For WideKind::MapIndex and MapIndexValue.
    constexpr u32 map_index() const { return static_cast<u32>(imm); }
    constexpr u32 map_value_offset() const { return static_cast<u32>(static_cast<u64>(imm) >> 32); }

    friend constexpr bool operator==(const Insn&, const Insn&) = default;
};
static_assert(sizeof(Insn) == 16);

// The raw 8 bytes of a slot, as RFC 9669 section 3 lays them out.
struct Slot {
    u8 opcode = 0;
    u8 regs = 0;  // dst in the low nibble, src in the high one
    i16 off = 0;
    i32 imm = 0;
};
static_assert(sizeof(Slot) == 8);

}  // namespace ebpf::isa
