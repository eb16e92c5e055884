// SPDX-License-Identifier: MIT
//
// Arguments that are constant strings: they lie in read-only data that nobody can change any more,
// so what they say is looked at now.
#include <algorithm>

#include "spec/format.hpp"
#include "verifier/analyzer.hpp"

namespace ebpf::verifier {

namespace {

constexpr u32 kValueBytes = 8;  // of a format's values

std::string shown(char c) {
    if (c >= ' ' && c <= '~') return {c};
    constexpr const char* kDigits = "0123456789abcdef";
    const auto byte = static_cast<u8>(c);
    return {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

// In quotes, of a long one the beginning.
std::string shown(std::string_view text) {
    constexpr std::size_t kMost = 60;
    std::string out = "\"";
    for (const char c : text.substr(0, kMost)) out += c == '\n' ? "\\n" : shown(c);
    return out + (text.size() > kMost ? "...\"" : "\"");
}

}  // namespace

bool Analyzer::check_string_argument(CallSite& site, int n) {
    const Reg& value = reg(static_cast<isa::Reg>(n + 1));
    const auto wrong = [&](const char* wanted) {
        return reject(DiagnosticCode::HelperArgument,
                      argument_name(n) + " of " + site.proto->name + " must be " + wanted +
                          ", but it is " + name(value.kind) + ": " + to_string(value));
    };
    if (value.kind != Kind::MapValue || value.nullable || !value.num.is_constant())
        return wrong("a constant string");
    const ir::MapDef& m = map(value.index);
    const i64 from = value.off + static_cast<i64>(value.num.value());
    if (!m.is_data_section || !m.read_only || !m.frozen || from < 0 ||
        from >= static_cast<i64>(m.initial.size())) {
        return wrong("a string in frozen read-only data");
    }
    const auto begin = m.initial.begin() + from;
    const auto end = std::find(begin, m.initial.end(), std::byte{0});
    charge(static_cast<u64>(end - begin));
    if (end == m.initial.end()) return wrong("a string that ends with a zero byte");
    if (site.proto->args[n] == spec::ArgKind::ConstFormat) {
        site.format = {reinterpret_cast<const char*>(&*begin),
                       static_cast<std::size_t>(end - begin)};
        site.format_argument = n;
    }
    return true;
}

// The format and how many values it gets. That many are certainly there; when the size is no
// multiple of theirs on some path, the helper says so.
bool Analyzer::check_format(const CallSite& site) {
    const int n = site.format_argument;
    const std::string what = argument_name(n) + " of " + site.proto->name;
    const auto conversions = spec::count_conversions(environment_.type->dialect, site.format);
    if (!conversions) {
        const std::size_t at = conversions.error().where.value;
        return reject(
            DiagnosticCode::TextFormat,
            what + " is the format " + shown(site.format) + ", which " +
                (at >= site.format.size() ? "ends within a conversion"
                                          : "must not have '" + shown(site.format[at]) +
                                                "' as character " + std::to_string(at + 1)));
    }
    const Scalar& size = reg(static_cast<isa::Reg>(n + 3)).num;
    const u64 values = size.umin() / kValueBytes;
    if (size.bits.value % kValueBytes != 0) {
        return reject(DiagnosticCode::TextFormat,
                      argument_name(n + 2) + " of " + site.proto->name +
                          " is the size of an array of u64, but no multiple of 8: " +
                          to_string(reg(static_cast<isa::Reg>(n + 3))));
    }
    if (*conversions > values) {
        return reject(DiagnosticCode::TextFormat,
                      what + " is the format " + shown(site.format) + " with " +
                          std::to_string(*conversions) +
                          (*conversions == 1 ? " conversion, but " : " conversions, but ") +
                          argument_name(n + 2) + " gives it " + std::to_string(values) +
                          (values == 1 ? " value" : " values") + " of 8 bytes");
    }
    return true;
}

}  // namespace ebpf::verifier
