// SPDX-License-Identifier: MIT
#include "base/error.hpp"

namespace ebpf {
namespace {

struct Row {
    std::string_view name;
    std::string_view text;
};

constexpr Row kRows[] = {
#define ERROR(id, linux_errno, result, ntstatus, text) {#id, text},
#include "base/errors.def"
};

// Appends to a caller's buffer and drops what does not fit; no allocation, no locale.
class Writer {
  public:
    explicit Writer(std::span<char> out) : out_(out) {}

    void text(std::string_view s) {
        for (const char c : s) {
            if (used_ + 1 < out_.size()) out_[used_++] = c;
        }
    }
    void number(u64 value, u64 base = 10) {
        char digits[20];
        int n = 0;
        do {
            digits[n++] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value != 0);
        while (n > 0) text({&digits[--n], 1});
    }
    std::size_t finish() {
        if (!out_.empty()) out_[used_] = '\0';
        return used_;
    }

  private:
    std::span<char> out_;
    std::size_t used_ = 0;
};

constexpr std::string_view kPlaces[] = {"",     "offset",      "section",  "symbol",
                                        "type", "instruction", "argument", "line"};

}  // namespace

std::unexpected<Error> fail(Errc code, Where where, const char* what, u64 arg) {
    return std::unexpected(Error{code, where, what, arg});
}

std::string_view message(Errc code) {
    return kRows[static_cast<std::size_t>(code)].text;
}
std::string_view name(Errc code) {
    return kRows[static_cast<std::size_t>(code)].name;
}

std::size_t render(const Error& error, std::span<char> buffer) {
    Writer out(buffer);
    out.text(message(error.code));
    if (error.what != nullptr) {
        out.text(": ");
        out.text(error.what);
        if (error.arg != 0) {
            out.text(" (");
            out.number(error.arg);
            if (error.arg > 9) {
                out.text(" = 0x");
                out.number(error.arg, 16);
            }
            out.text(")");
        }
    }
    const Where& where = error.where;
    if (where.kind != Where::Kind::None) {
        out.text(" at ");
        out.text(kPlaces[static_cast<std::size_t>(where.kind)]);
        out.text(" ");
        out.number(where.kind == Where::Kind::Section ? where.section : where.value);
        if (where.kind == Where::Kind::Offset && where.section != Where::kNoSection) {
            out.text(" of section ");
            out.number(where.section);
        }
    }
    return out.finish();
}

}  // namespace ebpf
