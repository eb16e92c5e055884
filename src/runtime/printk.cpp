// SPDX-License-Identifier: MIT
#include "runtime/printk.hpp"

#include <bit>
#include <cstring>

#include "platform/process.hpp"
#include "runtime/read_text.hpp"

namespace ebpf::runtime {
namespace {

// Linux keeps the values in a buffer of this size until the text is made from them.
constexpr u32 kValueBytes = 512;
constexpr u32 kMaxWidth = (1 << 23) - 1;

constexpr const char* kLowerDigits = "0123456789abcdef";
constexpr const char* kUpperDigits = "0123456789ABCDEF";

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
// What may follow a conversion whose letters could go on.
bool ends_word(char c) {
    return c == '\0' || is_blank(c) || (is_printable(c) && !is_alphanumeric(c));
}

// SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein) of one word.
u64 keyed_hash(const FormatSecret& secret, u64 word) {
    u64 v[4] = {secret.words[0] ^ 0x736f6d6570736575, secret.words[1] ^ 0x646f72616e646f6d,
                secret.words[0] ^ 0x6c7967656e657261, secret.words[1] ^ 0x7465646279746573};
    const auto rounds = [&v](int count) {
        for (; count > 0; --count) {
            v[0] += v[1], v[1] = std::rotl(v[1], 13) ^ v[0], v[0] = std::rotl(v[0], 32);
            v[2] += v[3], v[3] = std::rotl(v[3], 16) ^ v[2];
            v[0] += v[3], v[3] = std::rotl(v[3], 21) ^ v[0];
            v[2] += v[1], v[1] = std::rotl(v[1], 17) ^ v[2], v[2] = std::rotl(v[2], 32);
        }
    };
    for (const u64 block : {word, u64{8} << 56}) {
        v[3] ^= block;
        rounds(2);
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    rounds(4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct Writer {
    std::span<char> out;
    FormattedText text;

    void put(char c) {
        ++text.length;
        if (text.written < out.size()) out[text.written++] = c;
    }
    // Only what fits takes time, however wide.
    void fill(char c, u64 count) {
        const u64 room = out.size() - text.written;
        for (u64 n = count < room ? count : room; n > 0; --n) out[text.written++] = c;
        text.length += count;
    }
    void put(const char* characters, u64 count) {
        for (u64 i = 0; i < count; ++i) put(characters[i]);
    }
};

struct Conversion {
    bool zeros = false, plus = false, left = false, blank = false;
    bool has_width = false;
    u64 width = 0;
    u32 bytes = 4;  // of a number
    char letter = 0;
    char pointer = 0;  // of %p: the letter behind it, 0 if none

    // The blanks before or behind `used` characters.
    u64 padding(u64 used) const { return has_width && width > used ? width - used : 0; }
};

void write_number(Writer& out, const Conversion& c, u64 value, bool is_signed, u32 base,
                  const char* digits) {
    const bool negative = is_signed && static_cast<i64>(value) < 0;
    const char sign = negative               ? '-'
                      : is_signed && c.plus  ? '+'
                      : is_signed && c.blank ? ' '
                                             : '\0';
    if (negative) value = 0 - value;
    char text[20];
    u32 n = 0;
    do {
        text[n++] = digits[value % base];
        value /= base;
    } while (value != 0);
    const u64 padding = c.padding(n + (sign != '\0' ? 1 : 0));
    if (!c.left && !c.zeros) out.fill(' ', padding);
    if (sign != '\0') out.put(sign);
    if (!c.left && c.zeros) out.fill('0', padding);
    while (n > 0) out.put(text[--n]);
    if (c.left) out.fill(' ', padding);
}

void write_text(Writer& out, const Conversion& c, const char* text, u64 length) {
    if (!c.left) out.fill(' ', c.padding(length));
    out.put(text, length);
    if (c.left) out.fill(' ', c.padding(length));
}

// A number of `c.bytes` as the letter says: d i u x X.
void write_integer(Writer& out, const Conversion& c, u64 value) {
    const bool is_signed = c.letter == 'd' || c.letter == 'i';
    if (c.bytes == 4) {
        value = is_signed ? static_cast<u64>(i64{static_cast<i32>(value)})
                          : u64{static_cast<u32>(value)};
    }
    const bool hex = (c.letter | 0x20) == 'x';
    write_number(out, c, value, is_signed, hex ? 16 : 10,
                 c.letter == 'X' ? kUpperDigits : kLowerDigits);
}

bool is_integer(char letter) {
    return letter == 'd' || letter == 'i' || letter == 'u' || letter == 'x' || letter == 'X';
}

// 64 and 32 bits of a number, as the l's before its letter say.
void parse_longs(Conversion& c, std::string_view format, std::size_t& at) {
    for (int longs = 0; longs < 2 && at < format.size() && format[at] == 'l'; ++longs, ++at) {
        c.bytes = 8;
    }
}

// --- Linux ---------------------------------------------------------------------------------------

class LinuxFormat {
  public:
    LinuxFormat(std::string_view format, std::span<const u64> values, const FormatSecret& secret,
                std::span<char> out)
        : format_(format), values_(values), secret_(secret), out_{out, {}} {}

    Result<FormattedText> run() {
        while (at_ < format_.size()) {
            const char c = format_[at_];
            if (!is_printable(c) && !is_blank(c)) return invalid();
            ++at_;
            if (c != '%') {
                out_.put(c);
            } else if (peek() == '%') {
                out_.put('%');
                ++at_;
            } else {
                TRY(convert());
            }
        }
        return out_.text;
    }

  private:
    // The character at `ahead` from here; NUL at the end.
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < format_.size() ? format_[at_ + ahead] : '\0';
    }
    std::unexpected<Error> invalid() const {
        return fail(Errc::InvalidArgument, at_offset(at_), "format");
    }

    Status convert() {
        if (used_ == values_.size()) return fail(Errc::InvalidArgument, {}, "values", used_);
        Conversion c;
        parse_flags(c);
        c.letter = peek();
        const u64 value = values_[used_++];
        if (c.letter == 'p') return convert_pointer(c, value);
        if (c.letter == 's') return convert_text(c, value);
        if (c.letter == 'c') {
            ++at_;
            TRY(reserve(1, 1));
            const char character = static_cast<char>(value);
            write_text(out_, c, &character, 1);
            return {};
        }
        parse_longs(c, format_, at_);
        c.letter = peek();
        if (!is_integer(c.letter)) return invalid();
        ++at_;
        TRY(reserve(c.bytes, 4));
        write_integer(out_, c, value);
        return {};
    }

    void parse_flags(Conversion& c) {
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
            c.width = c.width * 10 + static_cast<u64>(peek() - '0');
            if (c.width > kMaxWidth) c.width = kMaxWidth;
        }
    }

    // %s and, behind the p, %ks and %us.
    [[gnu::noinline]] Status convert_text(const Conversion& c, u64 address) {
        ++at_;
        if (!ends_word(peek())) return invalid();
        if (stored_ == kValueBytes) return fail(Errc::OutOfSpace, {}, "values");
        char text[kValueBytes];
        const u64 size = read_text(address, {text, kValueBytes - stored_});
        stored_ += size != 0 ? static_cast<u32>(size) : 1;
        // %pks and %pus are made into texts before any width is known.
        const Conversion plain{.letter = 's'};
        write_text(out_, c.letter == 's' ? c : plain, text, size != 0 ? size - 1 : 0);
        return {};
    }

    Status convert_pointer(Conversion& c, u64 value) {
        ++at_;
        const char next = peek();
        if ((next == 'k' || next == 'u') && peek(1) == 's') {
            ++at_;
            return convert_text(c, value);
        }
        if (next == 'i' || next == 'I') return convert_internet_address(next, value);
        const bool known = next == 'K' || next == 'x' || next == 's' || next == 'S' || next == 'B';
        if (!known && !ends_word(next)) return invalid();
        TRY(reserve(8, 4));
        if (known) {
            c.pointer = next;
            while (is_alphanumeric(peek())) ++at_;
        }
        if (c.pointer == 's' || c.pointer == 'S' || c.pointer == 'B') {
            write_symbol(c, value);
        } else {
            if (!c.has_width) c.zeros = c.has_width = true, c.width = 16;
            write_number(out_, c, c.pointer == 'x' ? value : stand_in(value), false, 16,
                         kLowerDigits);
        }
        return {};
    }

    // Linux writes the number where an address belongs to no function that it knows.
    void write_symbol(const Conversion& c, u64 value) {
        char text[18];
        Writer symbol{text, {}};
        symbol.put("0x", 2);
        write_number(symbol, {}, value, false, 16, kLowerDigits);
        write_text(out_, c.pointer == 'B' ? Conversion{} : c, text, symbol.text.written);
    }

    Status convert_internet_address(char letter, u64 address) {
        const char family = peek(1);
        if (family != '4' && family != '6') return invalid();
        at_ += 2;
        const u32 size = family == '4' ? 4 : 16;
        u8 bytes[16] = {};
        // Linux asks for the room of the longest address and uses that of this one.
        if (kValueBytes - stored_ < size) return fail(Errc::OutOfSpace, {}, "values");
        if (!platform::read_memory(address, std::as_writable_bytes(std::span(bytes, size)))) {
            std::memset(bytes, 0, sizeof bytes);
        }
        const u64 before = out_.text.length;
        for (u32 i = 0; i < size; ++i) {
            Conversion digits{.zeros = true, .has_width = true};
            if (family == '6') {
                digits.width = 2;
                if (letter == 'I' && i != 0 && i % 2 == 0) out_.put(':');
                write_number(out_, digits, bytes[i], false, 16, kLowerDigits);
            } else {
                digits.width = letter == 'i' ? 3 : 1;
                if (i != 0) out_.put('.');
                write_number(out_, digits, bytes[i], false, 10, kLowerDigits);
            }
        }
        stored_ += static_cast<u32>(out_.text.length - before) + 1;
        if (stored_ > kValueBytes) stored_ = kValueBytes;
        while (is_alphanumeric(peek())) ++at_;
        return {};
    }

    // Room for a value among the stored ones.
    Status reserve(u32 bytes, u32 alignment) {
        const u32 begin = (stored_ + alignment - 1) / alignment * alignment;
        if (begin > kValueBytes || kValueBytes - begin < bytes) {
            return fail(Errc::OutOfSpace, {}, "values");
        }
        stored_ = begin + bytes;
        return {};
    }

    // What is written for an address: 32 bits that do not lead back to it, the same for the same
    // address. Null and error numbers are themselves.
    u64 stand_in(u64 address) const {
        constexpr u64 kErrors = ~u64{4095};
        if (address == 0 || address > kErrors) return address;
        return keyed_hash(secret_, address) & 0xffffffff;
    }

    std::string_view format_;
    std::span<const u64> values_;
    const FormatSecret& secret_;
    Writer out_;
    std::size_t at_ = 0;
    std::size_t used_ = 0;
    u32 stored_ = 0;
};

// Up to the first NUL. (A loop: the Windows kernel offers drivers no memchr, which
// string_view::find would call.)
std::string_view until_nul(std::string_view text) {
    std::size_t end = 0;
    while (end < text.size() && text[end] != '\0') ++end;
    return text.substr(0, end);
}

}  // namespace

Result<FormattedText> format_linux(std::string_view format, std::span<const u64> values,
                                   const FormatSecret& secret, std::span<char> out) {
    const std::string_view text = until_nul(format);
    if (text.size() == format.size()) return fail(Errc::InvalidArgument, {}, "format's end");
    // All of it is looked at before anything is written.
    TRY(LinuxFormat(text, values, secret, {}).run());
    return LinuxFormat(text, values, secret, out).run();
}

Result<FormattedText> format_windows(std::string_view format, std::span<const u64> values,
                                     std::span<char> out) {
    if (format.size() < 2 || format.size() > 511) {
        return fail(Errc::InvalidArgument, {}, "size of the format", format.size());
    }
    const std::string_view text = until_nul(format);
    Writer writer{out, {}};
    std::size_t used = 0;
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at++];
        if (c != '%' || (at < text.size() && text[at] == '%')) {
            writer.put(c);
            if (c == '%') ++at;
            continue;
        }
        Conversion conversion;
        parse_longs(conversion, text, at);
        conversion.letter = at < text.size() ? text[at++] : '\0';
        if (!is_integer(conversion.letter) || conversion.letter == 'X' || used == values.size()) {
            return fail(Errc::InvalidArgument, at_offset(at), "format");
        }
        write_integer(writer, conversion, values[used++]);
    }
    if (used != values.size()) return fail(Errc::InvalidArgument, {}, "values", values.size());
    const u64 written = writer.text.written;
    if (written != 0 && out[written - 1] == '\n') --writer.text.written;
    return writer.text;
}

}  // namespace ebpf::runtime
