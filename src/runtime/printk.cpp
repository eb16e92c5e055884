// SPDX-License-Identifier: MIT
#include "runtime/printk.hpp"

#include <bit>
#include <cstring>

#include "platform/process.hpp"
#include "runtime/read_text.hpp"
#include "spec/format.hpp"

namespace ebpf::runtime {
namespace {

using spec::Conversion;
using spec::FormatPiece;
using spec::FormatReader;

// Linux keeps the values in a buffer of this size until the text is made from them.
constexpr u32 kValueBytes = 512;
constexpr const char* kLowerDigits = "0123456789abcdef";
constexpr const char* kUpperDigits = "0123456789ABCDEF";

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

// The blanks before or behind `used` characters.
u64 padding(const Conversion& c, u64 used) {
    return c.has_width && c.width > used ? c.width - used : 0;
}

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
    const u64 room = padding(c, n + (sign != '\0' ? 1 : 0));
    if (!c.left && !c.zeros) out.fill(' ', room);
    if (sign != '\0') out.put(sign);
    if (!c.left && c.zeros) out.fill('0', room);
    while (n > 0) out.put(text[--n]);
    if (c.left) out.fill(' ', room);
}

void write_text(Writer& out, const Conversion& c, const char* text, u64 length) {
    if (!c.left) out.fill(' ', padding(c, length));
    out.put(text, length);
    if (c.left) out.fill(' ', padding(c, length));
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

// --- Linux ---------------------------------------------------------------------------------------

class LinuxText {
  public:
    LinuxText(std::span<const u64> values, const FormatSecret& secret, std::span<char> out)
        : values_(values), secret_(secret), out_{out, {}} {}

    Result<FormattedText> write(std::string_view format) {
        for (FormatReader reader(spec::Dialect::Linux, format); !reader.at_end();) {
            TRY_ASSIGN(const FormatPiece piece, reader.next());
            out_.put(piece.plain.data(), piece.plain.size());
            if (!piece.converts) continue;
            if (used_ == values_.size()) return fail(Errc::InvalidArgument, {}, "values", used_);
            TRY(convert(piece.conversion, values_[used_++]));
        }
        return out_.text;
    }

  private:
    Status convert(const Conversion& c, u64 value) {
        if (c.letter == 'p') return convert_pointer(c, value);
        if (c.letter == 's') return convert_text(c, value);
        if (c.letter == 'c') {
            TRY(reserve(1, 1));
            const char character = static_cast<char>(value);
            write_text(out_, c, &character, 1);
            return {};
        }
        TRY(reserve(c.bytes, 4));
        write_integer(out_, c, value);
        return {};
    }

    [[gnu::noinline]] Status convert_text(const Conversion& c, u64 address) {
        if (stored_ == kValueBytes) return fail(Errc::OutOfSpace, {}, "values");
        char text[kValueBytes];
        const u64 size = read_text(address, {text, kValueBytes - stored_});
        stored_ += size != 0 ? static_cast<u32>(size) : 1;
        // %pks and %pus are made into texts before any width is known.
        write_text(out_, c.letter == 's' ? c : Conversion{}, text, size != 0 ? size - 1 : 0);
        return {};
    }

    Status convert_pointer(Conversion c, u64 value) {
        if (c.pointer == 'k' || c.pointer == 'u') return convert_text(c, value);
        if (c.family != 0) return convert_internet_address(c, value);
        TRY(reserve(8, 4));
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

    Status convert_internet_address(const Conversion& c, u64 address) {
        const u32 size = c.family == '4' ? 4 : 16;
        u8 bytes[16] = {};
        // Linux asks for the room of the longest address and uses that of this one.
        if (kValueBytes - stored_ < size) return fail(Errc::OutOfSpace, {}, "values");
        if (!platform::read_memory(address, std::as_writable_bytes(std::span(bytes, size)))) {
            std::memset(bytes, 0, sizeof bytes);
        }
        const u64 before = out_.text.length;
        for (u32 i = 0; i < size; ++i) {
            Conversion digits{.zeros = true, .has_width = true};
            if (c.family == '6') {
                digits.width = 2;
                if (c.pointer == 'I' && i != 0 && i % 2 == 0) out_.put(':');
                write_number(out_, digits, bytes[i], false, 16, kLowerDigits);
            } else {
                digits.width = c.pointer == 'i' ? 3 : 1;
                if (i != 0) out_.put('.');
                write_number(out_, digits, bytes[i], false, 10, kLowerDigits);
            }
        }
        stored_ += static_cast<u32>(out_.text.length - before) + 1;
        if (stored_ > kValueBytes) stored_ = kValueBytes;
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

    std::span<const u64> values_;
    const FormatSecret& secret_;
    Writer out_;
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
    TRY(LinuxText(values, secret, {}).write(text));
    return LinuxText(values, secret, out).write(text);
}

Result<FormattedText> format_windows(std::string_view format, std::span<const u64> values,
                                     std::span<char> out) {
    if (format.size() < 2 || format.size() > 511) {
        return fail(Errc::InvalidArgument, {}, "size of the format", format.size());
    }
    const std::string_view text = until_nul(format);
    Writer writer{out, {}};
    std::size_t used = 0;
    for (FormatReader reader(spec::Dialect::Windows, text); !reader.at_end();) {
        TRY_ASSIGN(const FormatPiece piece, reader.next());
        writer.put(piece.plain.data(), piece.plain.size());
        if (!piece.converts) continue;
        if (used == values.size()) return fail(Errc::InvalidArgument, {}, "values", used);
        write_integer(writer, piece.conversion, values[used++]);
    }
    if (used != values.size()) return fail(Errc::InvalidArgument, {}, "values", values.size());
    const u64 written = writer.text.written;
    if (written != 0 && out[written - 1] == '\n') --writer.text.written;
    return writer.text;
}

}  // namespace ebpf::runtime
