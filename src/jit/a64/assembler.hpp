// SPDX-License-Identifier: MIT
//
// AArch64 instructions (Arm Architecture Reference Manual, C6), each a word made of a base encoding
// and fields. Jumps go to labels and are filled in by layout(); 64-bit values that the execution
// context fills in stand in a pool of literals behind the code.
#pragma once

#include <optional>
#include <vector>

#include "base/error.hpp"
#include "code/code.hpp"
#include "isa/insn.hpp"

namespace ebpf::jit::a64 {

using isa::Width;

// x0 to x30; 31 is the zero register or sp, as the instruction says.
using Gpr = u8;
inline constexpr Gpr kFp = 29, kLr = 30, kZero = 31, kSp = 31;

enum class Cc : u8 { Eq, Ne, Hs, Lo, Mi, Pl, Vs, Vc, Hi, Ls, Ge, Lt, Gt, Le, Always };

using Label = u32;

namespace op {
// rd, rn, rm
inline constexpr u32 kAdd = 0x0B00'0000, kSub = 0x4B00'0000, kSubs = 0x6B00'0000,
                     kAnd = 0x0A00'0000, kOrr = 0x2A00'0000, kEor = 0x4A00'0000,
                     kAnds = 0x6A00'0000, kUdiv = 0x1AC0'0800, kSdiv = 0x1AC0'0C00,
                     kLslv = 0x1AC0'2000, kLsrv = 0x1AC0'2400, kAsrv = 0x1AC0'2800,
                     kExtr = 0x1380'0000, kOrn = 0x2A20'0000, kBic = 0x0A20'0000,
                     kEon = 0x4A20'0000;
// rd, rn, rm, ra
inline constexpr u32 kMadd = 0x1B00'0000, kMsub = 0x1B00'8000;
// rd, rn, 12 bits (perhaps shifted by 12)
inline constexpr u32 kAddImm = 0x1100'0000, kSubImm = 0x5100'0000, kSubsImm = 0x7100'0000,
                     kAddsImm = 0x3100'0000;
// rd, rn, a bit mask
inline constexpr u32 kAndImm = 0x1200'0000, kOrrImm = 0x3200'0000, kEorImm = 0x5200'0000,
                     kAndsImm = 0x7200'0000;
// rd, rn, immr, imms
inline constexpr u32 kSbfm = 0x1300'0000, kUbfm = 0x5300'0000;
inline constexpr u32 kMovn = 0x1280'0000, kMovz = 0x5280'0000, kMovk = 0x7280'0000;
inline constexpr u32 kRev16 = 0x5AC0'0400, kRev32 = 0x5AC0'0800, kRev64 = 0xDAC0'0C00;
inline constexpr u32 kRet = 0xD65F'03C0, kBlr = 0xD63F'0000, kBrk = 0xD420'0000,
                     kDmbIsh = 0xD503'3BBF;
}  // namespace op

enum class Access : u8 { Store, Load, LoadSigned };

// The fields N, immr, imms of a logical instruction, where `value` has such a form: a run of ones,
// rotated, in an element of 2 to 64 bits that is repeated.
constexpr std::optional<u32> bit_mask(u64 value, Width w) {
    if (w == Width::W32) value = (value & 0xFFFF'FFFF) | value << 32;
    if (value == 0 || value == ~u64{0}) return {};
    u32 size = 64;
    while (size > 2) {
        const u32 half = size / 2;
        const u64 mask = (u64{1} << half) - 1;
        if ((value & mask) != (value >> half & mask)) break;
        size = half;
    }
    const u64 mask = size == 64 ? ~u64{0} : (u64{1} << size) - 1;
    const u64 element = value & mask;
    for (u32 rotation = 0; rotation < size; ++rotation) {
        // Rotated left by `rotation`, does it become ones at the bottom?
        const u64 turned =
            rotation == 0 ? element : ((element << rotation | element >> (size - rotation)) & mask);
        if ((turned & (turned + 1)) != 0) continue;
        const u32 ones = static_cast<u32>(__builtin_popcountll(turned));
        const u32 n = size == 64 ? 1 : 0;
        const u32 imms = (n != 0 ? 0 : (~(2 * size - 1) & 0x3F)) | (ones - 1);
        return n << 22 | rotation << 16 | imms << 10;
    }
    return {};
}

// The last operand of an operation: shifted by 0 or more, or (of additions, subtractions and
// indexed accesses only) extended and then shifted left by up to 4.
struct Operand {
    enum Kind : u8 { Lsl, Lsr, Asr, Ror, Uxtb, Uxth, Uxtw, Uxtx, Sxtb, Sxth, Sxtw };
    Gpr reg = 0;
    Kind kind = Lsl;
    u8 amount = 0;

    bool plain() const { return kind == Lsl && amount == 0; }
    bool extends() const { return kind >= Uxtb; }
};

class Assembler {
  public:
    Assembler(u32 label_count, u32 expected_words, bool far_jumps)
        : labels_(label_count), far_(far_jumps) {
        words_.reserve(expected_words);
    }

    void put(u32 word) { words_.push_back(word); }
    u32 here() const { return static_cast<u32>(words_.size()) * 4; }
    void bind(Label label) { labels_[label] = here(); }
    Label new_label() {
        labels_.push_back(0);
        return static_cast<Label>(labels_.size() - 1);
    }
    u32 label_offset(Label label) const { return labels_[label]; }

    static u32 sf(Width w) { return w == Width::W64 ? 1u << 31 : 0; }
    void rrr(u32 base, Width w, Gpr d, Gpr n, Gpr m, u32 left_shift = 0) {
        put(base | sf(w) | u32{m} << 16 | left_shift << 10 | u32{n} << 5 | d);
    }
    void rro(u32 base, Width w, Gpr d, Gpr n, const Operand& m) {
        const u32 how =
            m.extends() ? 1u << 21 | (u32{m.kind} - Operand::Uxtb) << 13 : u32{m.kind} << 22;
        put(u32{m.amount} << 10 | base | sf(w) | how | u32{m.reg} << 16 | u32{n} << 5 | d);
    }
    void rrrr(u32 base, Width w, Gpr d, Gpr n, Gpr m, Gpr a) {
        put(base | sf(w) | u32{m} << 16 | u32{a} << 10 | u32{n} << 5 | d);
    }
    void rri12(u32 base, Width w, Gpr d, Gpr n, u32 imm, bool shifted = false) {
        put(base | sf(w) | (shifted ? 1u << 22 : 0) | imm << 10 | u32{n} << 5 | d);
    }
    void mask(u32 base, Width w, Gpr d, Gpr n, u32 fields) {
        put(base | sf(w) | fields | u32{n} << 5 | d);
    }
    void bitfield(u32 base, Width w, Gpr d, Gpr n, u32 immr, u32 imms) {
        const u32 n_bit = w == Width::W64 ? 1u << 22 : 0;
        put(base | sf(w) | n_bit | immr << 16 | imms << 10 | u32{n} << 5 | d);
    }
    void rr(u32 base, Gpr d, Gpr n) { put(base | u32{n} << 5 | d); }

    void mov(Width w, Gpr d, Gpr m) { rrr(op::kOrr, w, d, kZero, m); }
    void mov_imm(Gpr d, u64 value);
    void ror(Width w, Gpr d, Gpr n, u32 count) {
        put(op::kExtr | sf(w) | (w == Width::W64 ? 1u << 22 : 0) | u32{n} << 16 | count << 10 |
            u32{n} << 5 | d);
    }
    // base + off, by the shortest form; `temp` holds offsets that no form has.
    void access(Access kind, Width w, Gpr t, Gpr base, i64 off, Gpr temp);
    // `index` is shifted by 0 or by the logarithm of the access's size: lsl, uxtw or sxtw.
    void access_indexed(Access kind, Width w, Gpr t, Gpr base, const Operand& index) {
        const u32 option = index.extends() ? u32{index.kind} - Operand::Uxtb : 3u;
        put(size_of(w) << 30 | 0x3820'0800 | u32{static_cast<u8>(kind)} << 22 |
            u32{index.reg} << 16 | option << 13 | (index.amount != 0 ? 1u << 12 : 0) |
            u32{base} << 5 | t);
    }
    static bool is_index(const Operand& index, Width w) {
        const bool form = index.kind == Operand::Lsl || index.kind == Operand::Uxtw ||
                          index.kind == Operand::Sxtw;
        return form && (index.amount == 0 || index.amount == size_of(w));
    }
    // Two registers at base + off and right behind: a multiple of the size, at most 63 of them.
    void access_pair(bool load, Width w, Gpr a, Gpr b, Gpr base, i64 off) {
        const u32 scaled = static_cast<u32>(off / isa::bytes(w)) & 0x7F;
        put((w == Width::W64 ? 0xA900'0000 : 0x2900'0000) | (load ? 1u << 22 : 0) | scaled << 15 |
            u32{b} << 10 | u32{base} << 5 | a);
    }
    void push_pair(Gpr a, Gpr b) { pair(0xA980'0000, a, b, -16); }
    void pop_pair(Gpr a, Gpr b) { pair(0xA8C0'0000, a, b, 16); }

    void load_exclusive(Width w, Gpr t, Gpr n) {
        put(size_of(w) << 30 | 0x085F'7C00 | u32{n} << 5 | t);
    }
    void store_exclusive(Width w, Gpr status, Gpr t, Gpr n) {
        put(size_of(w) << 30 | 0x0800'FC00 | u32{status} << 16 | u32{n} << 5 | t);
    }

    void jump(Cc condition, Label target);
    void jump_if_zero(Width w, bool zero, Gpr t, Label target);
    // Only of small programs: it reaches 32 KiB.
    void jump_if_bit(u32 bit, bool set, Gpr t, Label target) {
        fix_up(Fixup::Imm14,
               (set ? 0x3700'0000 : 0x3600'0000) | (bit & 32) << 26 | (bit & 31) << 19 | t, target);
    }
    void call(Label target) { fix_up(Fixup::Imm26, 0x9400'0000, target); }
    void address(Gpr d, Label target) { fix_up(Fixup::Adr, 0x1000'0000 | d, target); }
    // Loads the 64 bits that a relocation stands for.
    void literal(Gpr t, const code::Relocation& relocation);

    // Writes the pool and fills in jumps. Relocations in ascending order; the addend of a
    // Function64 was a label and becomes its offset.
    Result<std::vector<std::byte>> layout(std::vector<code::Relocation>& relocations);

  private:
    struct Fixup {
        enum Kind : u8 { Imm26, Imm19, Imm14, Adr } kind;
        u32 at;
        Label target;
    };
    struct Literal {
        u32 at;  // of the instruction that loads it
        u32 index;
    };

    static u32 size_of(Width w) {
        return static_cast<u32>(__builtin_ctz(static_cast<u32>(isa::bytes(w))));
    }
    void pair(u32 base, Gpr a, Gpr b, i32 off) {
        put(base | (static_cast<u32>(off / 8) & 0x7F) << 15 | u32{b} << 10 | u32{kSp} << 5 | a);
    }
    void fix_up(Fixup::Kind kind, u32 word, Label target) {
        fixups_.push_back({kind, here(), target});
        put(word);
    }

    std::vector<u32> words_;
    std::vector<u32> labels_;
    std::vector<Fixup> fixups_;
    std::vector<Literal> loads_;
    std::vector<code::Relocation> literals_;
    bool far_;
};

}  // namespace ebpf::jit::a64
