// SPDX-License-Identifier: MIT
//
// Helpers on memory and strings. Linux': numbers in texts, comparing, formatting (kernel/bpf/
// helpers.c). eBPF for Windows': the C library's bounded functions and the kernel's string
// functions, which answer with an NTSTATUS. (Loops instead of library calls: the Windows kernel has
// no strnlen or memchr for a driver.)
#include "runtime/helper_call.hpp"
#include "runtime/printk.hpp"

namespace ebpf::runtime {
namespace {

u64 error(i64 number) {
    return static_cast<u64>(-number);
}
constexpr i64 kEinval = 22;  // C's numbers, in both dialects
constexpr i64 kErange = 34;
constexpr u64 kStatusBufferOverflow = 0xffffffff80000005;
constexpr u64 kStatusInvalidParameter = 0xffffffffc000000d;

u64 length_of(const char* text, u64 limit) {
    u64 length = 0;
    while (length < limit && text[length] != '\0') ++length;
    return length;
}

// --- numbers in texts ----------------------------------------------------------------------------

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// The value of a digit in any base up to 16, or 16.
u32 digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<u32>(c - '0');
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? static_cast<u32>(lower - 'a' + 10) : 16;
}

struct Number {
    u64 magnitude = 0;
    bool negative = false;
    i64 consumed = 0;  // characters, or minus an error number
};

// How the kernel reads a number: blanks, a minus, 0x or 0 where the base is not given.
Number parse_number(const char* text, u64 size, u64 flags) {
    constexpr u64 kBaseMask = 0x1f;
    constexpr u64 kLongest = 63;  // what the kernel looks at behind the blanks and the sign
    Number number;
    u64 base = flags & kBaseMask;
    number.consumed = -kEinval;
    if ((flags & ~kBaseMask) != 0 || (base != 0 && base != 8 && base != 10 && base != 16)) {
        return number;
    }
    u64 at = 0;
    while (at < size && is_space(text[at])) ++at;
    if (at < size && text[at] == '-') {
        number.negative = true;
        ++at;
    }
    if (size - at > kLongest) size = at + kLongest;
    const bool hex = at + 2 < size && text[at] == '0' && (text[at + 1] | 0x20) == 'x' &&
                     digit(text[at + 2]) < 16;
    if (base == 0) base = hex ? 16 : at < size && text[at] == '0' ? 8 : 10;
    const bool prefixed = at + 1 < size && text[at] == '0' && (text[at + 1] | 0x20) == 'x';
    if (base == 16 && prefixed) at += 2;
    const u64 begin = at;
    bool overflow = false;
    for (; at < size && digit(text[at]) < base; ++at) {
        overflow |= __builtin_mul_overflow(number.magnitude, base, &number.magnitude);
        overflow |=
            __builtin_add_overflow(number.magnitude, u64{digit(text[at])}, &number.magnitude);
    }
    if (at == begin) return number;
    number.consumed = overflow ? -kErange : static_cast<i64>(at);
    return number;
}

u64 store_number(u64 address, u64 value, i64 result) {
    std::memcpy(memory(address), &value, sizeof value);
    return static_cast<u64>(result);
}

HELPER_FUNCTION(strtol) {
    constexpr u64 kMin = u64{1} << 63;
    const Number number = parse_number(memory<const char>(r1), r2, r3);
    if (number.consumed < 0) return store_number(r4, 0, number.consumed);
    if (number.magnitude > kMin - (number.negative ? 0 : 1)) return store_number(r4, 0, -kErange);
    return store_number(r4, number.negative ? 0 - number.magnitude : number.magnitude,
                        number.consumed);
}

HELPER_FUNCTION(strtoul) {
    const Number number = parse_number(memory<const char>(r1), r2, r3);
    if (number.consumed < 0) return store_number(r4, 0, number.consumed);
    if (number.negative) return store_number(r4, 0, -kEinval);
    return store_number(r4, number.magnitude, number.consumed);
}

// --- Linux' strings ------------------------------------------------------------------------------

HELPER_FUNCTION(strncmp) {
    const auto* a = memory<const u8>(r1);
    const auto* b = memory<const u8>(r3);
    for (u64 i = 0, size = r2 & 0xffffffff; i < size; ++i) {
        if (a[i] != b[i]) return a[i] < b[i] ? ~u64{0} : 1;
        if (a[i] == 0) break;
    }
    return 0;
}

// Returns the length of the whole text with its NUL.
HELPER_FUNCTION(snprintf) {
    u64 values[kMaxFormatValues] = {};
    const u64 room = r2 & 0xffffffff;
    const u64 size = r5 & 0xffffffff;
    if (size % 8 != 0 || size > sizeof values || (size != 0 && r4 == 0)) {
        return returned(invocation, Errc::InvalidArgument);
    }
    if (size != 0) std::memcpy(values, memory(r4), size);
    const auto* format = memory<const char>(r3);
    auto* out = memory<char>(r1);
    const auto text =
        format_linux({format, length_of(format, ~u64{0}) + 1}, {values, size / 8},
                     runtime_of(*invocation).format_secret(), {out, room != 0 ? room - 1 : 0});
    if (!text) return returned(invocation, text.error().code);
    if (room != 0) out[text->written] = '\0';
    return text->length + 1;
}

// --- eBPF for Windows' memory and strings --------------------------------------------------------

HELPER_FUNCTION(memcpy_s) {
    if (r4 > r2) return error(kEinval);
    // The verifier does not keep the two apart.
    if (r4 != 0) std::memmove(memory(r1), memory(r3), r4);
    return 0;
}

HELPER_FUNCTION(memcmp_s) {
    const u64 size = r2 < r4 ? r2 : r4;
    const int order = size != 0 ? std::memcmp(memory(r1), memory(r3), size) : 0;
    if (order != 0) return order < 0 ? ~u64{0} : 1;
    return r2 == r4 ? 0 : r2 < r4 ? ~u64{0} : 1;
}

HELPER_FUNCTION(memset) {
    if (r2 != 0) std::memset(memory(r1), static_cast<int>(r3), r2);
    return 0;
}

// Copies a text of at most `count` characters to `at`, which has `room` bytes.
u64 copy_text(char* at, u64 room, const char* from, u64 count, bool fill) {
    const u64 length = length_of(from, count);
    const u64 copied = length < room ? length : room - 1;
    if (copied != 0) std::memmove(at, from, copied);
    at[copied] = '\0';
    if (fill && length < room) std::memset(at + copied, 0, room - copied);
    return length < room ? 0 : kStatusBufferOverflow;
}

HELPER_FUNCTION(strncpy_s) {
    if (r2 == 0) return kStatusInvalidParameter;
    return copy_text(memory<char>(r1), r2, memory<const char>(r3), r4, true);
}

HELPER_FUNCTION(strncat_s) {
    const u64 length = length_of(memory<const char>(r1), r2);
    if (length == r2) return kStatusInvalidParameter;  // no text, or no room for one
    return copy_text(memory<char>(r1) + length, r2 - length, memory<const char>(r3), r4, false);
}

HELPER_FUNCTION(strnlen_s) {
    return r1 != 0 ? length_of(memory<const char>(r1), r2) : 0;
}

constexpr HelperRow kRows[] = {
    HELPER_ROW(strtol),    HELPER_ROW(strtoul),   HELPER_ROW(strncmp),
    HELPER_ROW(snprintf),  HELPER_ROW(memcpy_s),  {spec::Helper::memmove_s, helper_memcpy_s},
    HELPER_ROW(memcmp_s),  HELPER_ROW(memset),    HELPER_ROW(strncpy_s),
    HELPER_ROW(strncat_s), HELPER_ROW(strnlen_s),
};

}  // namespace

std::span<const HelperRow> text_helpers() {
    return kRows;
}

}  // namespace ebpf::runtime
