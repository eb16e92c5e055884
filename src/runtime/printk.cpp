// SPDX-License-Identifier: MIT
#include "runtime/printk.hpp"

namespace ebpf::runtime {
namespace {

struct Writer {
    std::span<char> out;
    std::size_t used = 0;
    std::size_t total = 0;  // with what did not fit

    void put(char c) {
        ++total;
        if (used < out.size()) out[used++] = c;
    }
    void number(u64 value, u32 base, const char* digits) {
        char text[20];
        int n = 0;
        do {
            text[n++] = digits[value % base];
            value /= base;
        } while (value != 0);
        while (n > 0) put(text[--n]);
    }
};

struct Conversion {
    int bits = 32;
    char letter = 0;
};

// Reads a conversion behind its '%'; letter 0 when there is none.
Conversion parse(std::string_view format, std::size_t& at) {
    Conversion c;
    int longs = 0;
    int halves = 0;
    while (at < format.size() && format[at] == 'l') ++longs, ++at;
    while (at < format.size() && format[at] == 'h') ++halves, ++at;
    if (at >= format.size() || longs > 2 || halves > 2 || (longs != 0 && halves != 0)) return c;
    if (longs != 0) c.bits = 64;
    if (halves != 0) c.bits = halves == 1 ? 16 : 8;
    c.letter = format[at++];
    return c;
}

bool write(Writer& out, const Conversion& c, u64 value) {
    constexpr const char* kLower = "0123456789abcdef";
    const u64 low = c.bits == 64 ? value : value & ((u64{1} << c.bits) - 1);
    const i64 as_signed = static_cast<i64>(value << (64 - c.bits)) >> (64 - c.bits);
    switch (c.letter) {
        case 'd':
        case 'i':
            if (as_signed < 0) out.put('-');
            out.number(
                as_signed < 0 ? 0 - static_cast<u64>(as_signed) : static_cast<u64>(as_signed), 10,
                kLower);
            return true;
        case 'u':
            out.number(low, 10, kLower);
            return true;
        case 'x':
            out.number(low, 16, kLower);
            return true;
        case 'X':
            out.number(low, 16, "0123456789ABCDEF");
            return true;
        case 'c':
            out.put(static_cast<char>(value));
            return true;
        case 'p':
            out.number(value, 16, kLower);
            return true;
        default:
            return false;
    }
}

// Writes `format` with its values; how many values it used, or -1.
i64 write_all(Writer& writer, std::string_view format, std::span<const u64> values, bool strict,
              u32 most_values) {
    std::size_t used_values = 0;
    for (std::size_t at = 0; at < format.size();) {
        const char c = format[at++];
        if (c != '%') {
            writer.put(c);
        } else if (at < format.size() && format[at] == '%') {
            writer.put('%');
            ++at;
        } else {
            const Conversion conversion = parse(format, at);
            if (used_values == values.size() && strict) return -1;
            const u64 value = used_values < values.size() ? values[used_values] : 0;
            if (++used_values > most_values || !write(writer, conversion, value)) return -1;
        }
    }
    return static_cast<i64>(used_values);
}

}  // namespace

i64 format_printk(spec::Dialect dialect, std::string_view format, std::span<const u64> values,
                  std::span<char> out, u32 most_values) {
    const bool windows = dialect == spec::Dialect::Windows;
    if (windows && (format.size() < 2 || format.size() > 511)) return -1;
    // Linux wants a NUL as the last byte; what stands behind the first one is ignored. (A loop: the
    // kernel offers no memchr, which string_view::find would call.)
    std::size_t end = 0;
    while (end < format.size() && format[end] != '\0') ++end;
    if (!windows && end == format.size()) return -1;
    Writer writer{out};
    const i64 used_values =
        write_all(writer, format.substr(0, end), values, windows, windows ? 3 : most_values);
    if (used_values < 0) return -1;
    if (windows && static_cast<u64>(used_values) != values.size()) return -1;
    if (windows && writer.used != 0 && out[writer.used - 1] == '\n') --writer.used;
    return static_cast<i64>(writer.used);
}

i64 format_text(std::string_view format, std::span<const u64> values, std::span<char> out) {
    Writer writer{out};
    if (write_all(writer, format, values, true, kMaxFormatValues) < 0) return -1;
    return static_cast<i64>(writer.total);
}

}  // namespace ebpf::runtime
