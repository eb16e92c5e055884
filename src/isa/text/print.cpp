// SPDX-License-Identifier: MIT
#include <charconv>

#include "isa/codec.hpp"
#include "isa/text/pattern.hpp"

namespace ebpf::isa::text {
namespace {

std::string unsigned_number(u64 value, int base) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
    return std::string(digits, end);
}

u64 magnitude(i64 value) {
    return value < 0 ? u64{0} - static_cast<u64>(value) : static_cast<u64>(value);
}

// Fills the operands of `insn` into a pattern.
class Printer {
  public:
    Printer(const Insn& insn, Dialect dialect)
        : insn_(insn), llvm_(dialect == Dialect::Llvm), linux_(dialect == Dialect::Linux) {}

    std::string fill(std::string_view pattern) {
        std::string out;
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            if (pattern[i] == '{') {
                out += operand(pattern[i + 1]);
                i += 2;
            } else {
                out += pattern[i];
            }
        }
        return out;
    }

  private:
    std::string operand(char which) const {
        switch (which) {
            case 'd':
            case 'e':
                return reg(insn_.dst, insn_.is64());
            case 's':
            case 'E':
                return reg(insn_.src, insn_.is64());
            case 'D':
                return reg(insn_.dst, true);
            case 'S':
                return reg(insn_.src, true);
            case 'i':
                return signed_value(insn_.imm);
            case 'l':
            case 'g':
                return wide_value();
            case 'k':
                return value(insn_.kind);
            case 'n':
                return value(static_cast<u64>(insn_.imm));
            case 'o':
                return with_sign(insn_.off);
            case 'p':
                return insn_.imm == 0 ? "" : with_sign(insn_.imm);
            case 'f':
                return insn_.off == 0 ? "" : " fd " + value(static_cast<u16>(insn_.off));
            case 'j':
                return displacement();
            case 'x':
                return "0x" + unsigned_number(static_cast<u32>(insn_.imm), 16);
            case 'm':
                return value(insn_.map_index());
            case 'h':
                return value(insn_.map_value_offset());
            default:
                return {};
        }
    }

    std::string reg(Reg reg, bool is64) const {
        return (llvm_ || linux_ ? is64 ? "r" : "w" : "%r") + unsigned_number(reg, 10);
    }
    std::string value(u64 v) const {
        return llvm_ ? "0x" + unsigned_number(v, 16) : unsigned_number(v, 10);
    }
    std::string signed_value(i64 v) const { return (v < 0 ? "-" : "") + value(magnitude(v)); }
    // Constants of 64 bits are read more easily in hex; LLVM gives negative ones a sign.
    std::string wide_value() const {
        if (linux_ && insn_.wide() == WideKind::Function) return displacement();
        if (llvm_ || insn_.wide() == WideKind::Function) return signed_value(insn_.imm);
        return "0x" + unsigned_number(static_cast<u64>(insn_.imm), 16);
    }
    std::string with_sign(i64 v) const {
        if (llvm_) return (v < 0 ? " - " : " + ") + value(magnitude(v));
        return (linux_ ? " " : "") + sign_and_value(v);
    }
    std::string displacement() const {
        const i64 d = insn_.is_conditional() ? insn_.off : insn_.imm;
        return (linux_ && insn_.form != Form::Wide ? "pc" : "") + sign_and_value(d);
    }
    std::string sign_and_value(i64 v) const { return (v < 0 ? "-" : "+") + value(magnitude(v)); }

    const Insn& insn_;
    bool llvm_, linux_;
};

}  // namespace

std::string print(const Insn& insn, Dialect dialect) {
    const Encoding* encoding = find_encoding(insn);
    if (encoding == nullptr) return {};
    return Printer(insn, dialect).fill(pattern_of(*encoding, dialect));
}

Result<std::string> disassemble(Bytes slots, Dialect dialect) {
    if (slots.size() % sizeof(Slot) != 0) {
        return fail(Errc::Truncated, at_insn(slots.size() / sizeof(Slot)), "instruction");
    }
    if (slots.size() / sizeof(Slot) > kMaxSlots)
        return fail(Errc::TooLarge, {}, "slots", slots.size() / 8);
    std::string out;
    for (u32 pc = 0; pc < slots.size() / sizeof(Slot);) {
        TRY_ASSIGN(const Insn insn, decode(slots, pc));
        out += print(insn, dialect);
        out += '\n';
        pc += static_cast<u32>(insn.slots());
    }
    return out;
}

}  // namespace ebpf::isa::text
