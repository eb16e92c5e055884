// SPDX-License-Identifier: MIT
//
// Reading one instruction: the line is matched against the dialect's patterns one after the other.
// That is 180 attempts at worst, of which all but a few end at the first character.
#include <charconv>
#include <optional>

#include "isa/codec.hpp"
#include "isa/text/pattern.hpp"

namespace ebpf::isa::text {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_word(char c) {
    return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_label(char c) {
    return is_word(c) || c == '.' || c == '$';
}

// A number with its sign apart, so that every 64-bit value can be written either way.
struct Number {
    bool negative = false;
    bool has_sign = false;
    u64 magnitude = 0;

    i64 value() const { return static_cast<i64>(negative ? u64{0} - magnitude : magnitude); }
    // Whether it is in [-2^(bits-1), 2^top).
    bool in_range(int bits, int top) const {
        if (negative) return magnitude <= u64{1} << (bits - 1);
        return top == 64 || magnitude < u64{1} << top;
    }
};

class Matcher {
  public:
    Matcher(std::string_view line, const Encoding& encoding, Dialect dialect)
        : rest_(line), llvm_(dialect == Dialect::Llvm) {
        insn_.form = encoding.form;
        insn_.kind = encoding.kind;
        insn_.width = encoding.width;
        insn_.from_bits = encoding.from_bits;
    }

    // True when all of the line fits `pattern`; the operands are then in insn().
    bool match(std::string_view pattern) {
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            if (pattern[i] == '{') {
                if (!operand(pattern[i + 1])) return false;
                i += 2;
            } else if (pattern[i] == ' ') {
                if (!blank(i > 0 ? pattern[i - 1] : ' ')) return false;
            } else if (!literal(pattern[i])) {
                return false;
            }
        }
        skip_blanks();
        return rest_.empty();
    }

    const Insn& insn() const { return insn_; }
    std::string_view label() const { return label_; }

  private:
    void skip_blanks() {
        while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
    }
    bool literal(char c) {
        if (!is_word(c)) skip_blanks();
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    // Blanks are needed only where two words would run together.
    bool blank(char before) {
        const bool any = !rest_.empty() && is_blank(rest_.front());
        skip_blanks();
        if (any || rest_.empty()) return any;
        return !(is_word(before) && is_word(rest_.front()));
    }

    bool operand(char which) {
        switch (which) {
            case 'd':
                skip_blanks();
                return reg(insn_.dst, seen_dst_, insn_.is64() ? Name::Wide : Name::Half);
            case 's':
                skip_blanks();
                return reg(insn_.src, seen_src_, insn_.is64() ? Name::Wide : Name::Half);
            case 'D':
                return reg(insn_.dst, seen_dst_, Name::Wide);
            case 'S':
                return reg(insn_.src, seen_src_, Name::Wide);
            case 'e':
                return reg(insn_.dst, seen_dst_, insn_.is64() ? Name::Wide : Name::Either);
            case 'E':
                return reg(insn_.src, seen_src_, insn_.is64() ? Name::Wide : Name::Either);
            case 'i':
                return immediate32();
            case 'l':
                return immediate64();
            case 'k':
                return kind();
            case 'n':
                return unsigned32();
            case 'o':
                return offset();
            case 'p':
                return offset_in_imm();
            case 'f':
                return btf_index();
            case 'j':
                return displacement(true);
            case 'g':
                return displacement(false);
            default:
                return false;
        }
    }

    enum class Name { Wide, Half, Either };

    // A register that appears twice in a pattern must be the same both times.
    bool reg(Reg& out, bool& seen, Name name) {
        skip_blanks();
        if (!llvm_) {
            if (!rest_.starts_with("%r")) return false;
            rest_.remove_prefix(2);
        } else {
            if (rest_.empty()) return false;
            const char c = rest_.front();
            if (!(c == 'r' && name != Name::Half) && !(c == 'w' && name != Name::Wide))
                return false;
            rest_.remove_prefix(1);
        }
        int n = 0;
        std::size_t digits = 0;
        while (digits < rest_.size() && is_digit(rest_[digits]) && digits < 3) {
            n = n * 10 + (rest_[digits++] - '0');
        }
        if (digits == 0 || n > 15 || (digits > 1 && rest_[0] == '0')) return false;
        rest_.remove_prefix(digits);
        if (!rest_.empty() && is_word(rest_.front())) return false;
        if (seen && out != n) return false;
        seen = true;
        out = static_cast<Reg>(n);
        return true;
    }

    std::optional<Number> number() {
        skip_blanks();
        Number n;
        if (!rest_.empty() && (rest_.front() == '-' || rest_.front() == '+')) {
            n.has_sign = true;
            n.negative = rest_.front() == '-';
            rest_.remove_prefix(1);
            skip_blanks();
        }
        const bool hex = rest_.starts_with("0x") || rest_.starts_with("0X");
        if (hex) rest_.remove_prefix(2);
        const auto [end, error] =
            std::from_chars(rest_.data(), rest_.data() + rest_.size(), n.magnitude, hex ? 16 : 10);
        if (error != std::errc{}) return std::nullopt;
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        if (!rest_.empty() && is_word(rest_.front())) return std::nullopt;
        return n;
    }

    bool immediate32() {
        const auto n = number();
        if (!n || !n->in_range(32, 32)) return false;
        insn_.imm = static_cast<i32>(n->value());
        return true;
    }
    bool immediate64() {
        const auto n = number();
        if (!n || !n->in_range(64, 64)) return false;
        insn_.imm = n->value();
        return true;
    }
    bool unsigned32() {
        const auto n = number();
        if (!n || n->has_sign || !n->in_range(32, 32)) return false;
        insn_.imm = n->value();
        return true;
    }

    bool kind() {
        const auto n = number();
        return n && !n->negative && n->magnitude == insn_.kind;
    }

    // A signed number after an address; nothing stands for zero.
    std::optional<i64> signed_tail(int bits) {
        skip_blanks();
        if (rest_.empty() || (rest_.front() != '+' && rest_.front() != '-')) return 0;
        const auto n = number();
        if (!n || !n->in_range(bits, bits - 1)) return std::nullopt;
        return n->value();
    }
    bool offset() {
        const auto v = signed_tail(16);
        if (v) insn_.off = static_cast<i16>(*v);
        return v.has_value();
    }
    bool offset_in_imm() {
        const auto v = signed_tail(32);
        if (v) insn_.imm = *v;
        return v.has_value();
    }
    bool btf_index() {
        skip_blanks();
        if (rest_.empty()) return true;
        if (!rest_.starts_with("fd")) return false;
        rest_.remove_prefix(2);
        const auto n = number();
        if (!n || n->has_sign || n->magnitude > 0xffff) return false;
        insn_.off = static_cast<i16>(n->magnitude);
        return true;
    }

    bool displacement(bool need_sign) {
        skip_blanks();
        if (rest_.empty()) return false;
        const char c = rest_.front();
        if (c != '+' && c != '-' && !is_digit(c)) return take_label();
        const auto n = number();
        if (!n || (need_sign && !n->has_sign)) return false;
        const bool short_form = insn_.is_conditional() || (insn_.form == Form::Ja && insn_.is64());
        const int bits = short_form ? 16 : 32;
        if (!n->in_range(bits, bits - 1)) return false;
        if (insn_.is_conditional()) {
            insn_.off = static_cast<i16>(n->value());
        } else {
            insn_.imm = n->value();
        }
        return true;
    }
    bool take_label() {
        std::size_t n = 0;
        while (n < rest_.size() && is_label(rest_[n])) ++n;
        if (n == 0) return false;
        label_ = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return true;
    }

    std::string_view rest_;
    bool llvm_;
    bool seen_dst_ = false;
    bool seen_src_ = false;
    Insn insn_;
    std::string_view label_;
};

}  // namespace

Result<Insn> parse_with_label(std::string_view line, Dialect dialect, std::string_view& label) {
    while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
    for (const Pattern& pattern : patterns(dialect)) {
        Matcher matcher(line, *pattern.encoding, dialect);
        if (!matcher.match(pattern.text)) continue;
        Slot slots[2];
        TRY(encode(matcher.insn(), slots));
        label = matcher.label();
        return matcher.insn();
    }
    return fail(Errc::BadFormat, {}, "no such instruction, or an operand that does not fit it");
}

Result<Insn> parse(std::string_view line, Dialect dialect) {
    std::string_view label;
    TRY_ASSIGN(const Insn insn, parse_with_label(line, dialect, label));
    if (!label.empty()) return fail(Errc::UnresolvedSymbol, {}, "a label in a single instruction");
    return insn;
}

}  // namespace ebpf::isa::text
