// SPDX-License-Identifier: MIT
//
// Errors are values: what (Errc), where (a place in the input) and the numbers that explain it, in
// 32 bytes without an allocation, so that the kernel can return them too. Text is made only where
// somebody reads it: error.cpp renders it from errors.def, and a layer that knows names (a section,
// a symbol) adds them.
//
//     Result<Header> read_header(Bytes file) {
//         ByteReader reader(file);
//         TRY_ASSIGN(const u32 magic, reader.read<u32>());
//         if (magic != kMagic) return fail(Errc::BadMagic, at_offset(0), "ELF identification",
//         magic);
//         ...
//
// A bug of ours is an assertion, never an Error.
#pragma once

#include <expected>
#include <utility>

#include "base/types.hpp"

namespace ebpf {

enum class Errc : u16 {
#define ERROR(id, linux_errno, result, ntstatus, text) id,
#include "base/errors.def"
};

// A place in the input.
struct Where {
    enum class Kind : u8 {
        None,
        Offset,       // byte offset in the whole input, or in `section` when that is not kNoSection
        Section,      // an ELF section, by index
        Symbol,       // an ELF symbol, by index
        Type,         // a BTF type id
        Instruction,  // an instruction slot of a program
        Argument,     // argument or field number of a call
        Line,         // line of a text
    };
    static constexpr u32 kNoSection = ~0u;

    Kind kind = Kind::None;
    u32 section = kNoSection;
    u64 value = 0;
};

constexpr Where at_offset(u64 offset, u32 section = Where::kNoSection) {
    return {Where::Kind::Offset, section, offset};
}
constexpr Where at_section(u32 index) {
    return {Where::Kind::Section, index, 0};
}
constexpr Where at_symbol(u64 index) {
    return {Where::Kind::Symbol, Where::kNoSection, index};
}
constexpr Where at_type(u64 id) {
    return {Where::Kind::Type, Where::kNoSection, id};
}
constexpr Where at_insn(u64 slot) {
    return {Where::Kind::Instruction, Where::kNoSection, slot};
}
constexpr Where at_argument(u64 n) {
    return {Where::Kind::Argument, Where::kNoSection, n};
}
constexpr Where at_line(u64 n) {
    return {Where::Kind::Line, Where::kNoSection, n};
}

struct Error {
    Errc code = Errc::Ok;
    Where where{};
    const char* what = nullptr;  // string literal: the field, table or rule; may be null
    u64 arg = 0;                 // the offending value; printed when `what` is set

    friend bool operator==(const Error& error, Errc expected) { return error.code == expected; }
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// The only place where an error is made: a breakpoint here stops at the cause of any failure.
[[gnu::noinline]] std::unexpected<Error> fail(Errc code, Where where = {},
                                              const char* what = nullptr, u64 arg = 0);

// The row's text, e.g. "no such key".
std::string_view message(Errc code);
// The row's name, e.g. "KeyNotFound".
std::string_view name(Errc code);

// Writes "message: what (arg) at place" into `buffer`, NUL-terminated and cut when too long;
// returns the number of characters without the NUL.
std::size_t render(const Error& error, std::span<char> buffer);

}  // namespace ebpf

#define EBPF_CONCAT_(a, b) a##b
#define EBPF_CONCAT(a, b) EBPF_CONCAT_(a, b)

// Returns the error of `expression` from the enclosing function, if it has one.
#define TRY(expression)                                                 \
    do {                                                                \
        if (auto try_result_ = (expression); !try_result_) [[unlikely]] \
            return std::unexpected(try_result_.error());                \
    } while (false)

// Declares or assigns `target` from the value of `expression`, or returns its error.
#define TRY_ASSIGN(target, expression) TRY_ASSIGN_(EBPF_CONCAT(try_, __LINE__), target, expression)
#define TRY_ASSIGN_(temporary, target, expression) \
    auto temporary = (expression);                 \
    if (!temporary) [[unlikely]]                   \
        return std::unexpected(temporary.error()); \
    target = std::move(*temporary)
