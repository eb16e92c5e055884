// SPDX-License-Identifier: MIT
#include "spec/format.hpp"

namespace ebpf::spec {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_alphanumeric(char c) {
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}
bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_printable(char c) {
    return c >= ' ' && c <= '~';
}
bool is_ascii(char c) {
    return (static_cast<u8>(c) & 0x80) == 0;
}

}  // namespace

char FormatReader::peek(std::size_t ahead) const {
    return at_ + ahead < format_.size() ? format_[at_ + ahead] : '\0';
}

std::unexpected<Error> FormatReader::invalid() const {
    return fail(Errc::InvalidArgument, at_offset(at_), "format");
}

Result<FormatPiece> FormatReader::next() {
    FormatPiece piece;
    const std::size_t begin = at_;
    for (; !at_end() && peek() != '%'; ++at_) {
        const bool allowed = is_printable(peek()) || is_blank(peek()) || !is_ascii(peek());
        if (!allowed && dialect_ == Dialect::Linux) return invalid();
    }
    if (peek() == '%' && peek(1) == '%') {  // the first stands for itself, the second for nothing
        piece.plain = {format_.data() + begin, at_ + 1 - begin};
        at_ += 2;
        return piece;
    }
    piece.plain = {format_.data() + begin, at_ - begin};  // substr() could throw
    if (at_end()) return piece;
    ++at_;
    piece.converts = true;
    TRY(read_conversion(piece.conversion));
    return piece;
}

Status FormatReader::read_conversion(Conversion& c) {
    if (dialect_ == Dialect::Windows) return read_number(c);
    read_flags(c);
    c.letter = peek();
    switch (c.letter) {
        case 'p':
            ++at_;
            return read_pointer(c);
        case 's':
            ++at_;
            return need_end_of_word();
        case 'c':
            ++at_;
            return {};
        default:
            return read_number(c);
    }
}

void FormatReader::read_flags(Conversion& c) {
    for (;; ++at_) {
        const char flag = peek();
        c.zeros |= flag == '0';
        c.plus |= flag == '+';
        c.left |= flag == '-';
        c.blank |= flag == ' ';
        if (flag != '0' && flag != '+' && flag != '-' && flag != ' ') break;
    }
    for (; is_digit(peek()); ++at_) {
        c.has_width = true;
        c.width = c.width * 10 + static_cast<u32>(peek() - '0');
        if (c.width > kMaxFormatWidth) c.width = kMaxFormatWidth;
    }
}

// Behind the p. Linux ignores letters and digits behind those that it knows.
Status FormatReader::read_pointer(Conversion& c) {
    const char next = peek();
    if ((next == 'k' || next == 'u') && peek(1) == 's') {
        c.pointer = next;
        at_ += 2;
        return need_end_of_word();
    }
    if (next == 'i' || next == 'I') {
        c.pointer = next;
        c.family = peek(1);
        if (c.family != '4' && c.family != '6') return invalid();
        ++at_;
    } else if (next == 'K' || next == 'x' || next == 's' || next == 'S' || next == 'B') {
        c.pointer = next;
    } else {
        return need_end_of_word();
    }
    while (is_alphanumeric(peek())) ++at_;
    return {};
}

Status FormatReader::read_number(Conversion& c) {
    for (int longs = 0; longs < 2 && peek() == 'l'; ++longs, ++at_) c.bytes = 8;
    c.letter = peek();
    const bool hex = c.letter == 'x' || (c.letter == 'X' && dialect_ == Dialect::Linux);
    if (c.letter != 'd' && c.letter != 'i' && c.letter != 'u' && !hex) return invalid();
    ++at_;
    return {};
}

// Of what could go on with a letter or digit, but must not.
Status FormatReader::need_end_of_word() const {
    const char c = peek();
    const bool ends = at_end() || is_blank(c) || (is_printable(c) && !is_alphanumeric(c));
    if (!ends) return invalid();
    return {};
}

Result<u32> count_conversions(Dialect dialect, std::string_view format) {
    u32 count = 0;
    for (FormatReader reader(dialect, format); !reader.at_end();) {
        TRY_ASSIGN(const FormatPiece piece, reader.next());
        count += piece.converts ? 1 : 0;
    }
    return count;
}

}  // namespace ebpf::spec
