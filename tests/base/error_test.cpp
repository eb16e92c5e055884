// SPDX-License-Identifier: MIT
#include "base/error.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace ebpf {
namespace {

std::string text_of(const Error& error) {
    char buffer[200];
    const std::size_t length = render(error, buffer);
    EXPECT_EQ(length, std::char_traits<char>::length(buffer));
    return buffer;
}

TEST(Error, RendersWhatAndWhere) {
    const std::string truncated(message(Errc::Truncated));
    EXPECT_EQ(text_of({Errc::Truncated}), truncated);
    EXPECT_EQ(text_of(fail(Errc::Truncated, at_offset(16), "header", 7).error()),
              truncated + ": header (7) at offset 16");
    EXPECT_EQ(text_of(fail(Errc::Truncated, at_offset(0, 3), "size", 300).error()),
              truncated + ": size (300 = 0x12c) at offset 0 of section 3");
    EXPECT_EQ(text_of(fail(Errc::Truncated, at_section(4)).error()), truncated + " at section 4");
    EXPECT_EQ(text_of(fail(Errc::Truncated, at_insn(12)).error()),
              truncated + " at instruction 12");
}

TEST(Error, RendersTheLargestNumber) {
    EXPECT_NE(text_of(fail(Errc::TooLarge, at_type(~u64{0}), "id", ~u64{0}).error())
                  .find("18446744073709551615 = 0xffffffffffffffff"),
              std::string::npos);
}

TEST(Error, CutsTextThatDoesNotFit) {
    const Error error = fail(Errc::Truncated, at_offset(16), "header").error();
    const std::string whole = text_of(error);
    char buffer[300];
    for (std::size_t size = 0; size <= whole.size() + 1; ++size) {
        buffer[size] = '!';
        const std::size_t length = render(error, std::span(buffer, size));
        EXPECT_EQ(buffer[size], '!') << "wrote past " << size;
        if (size == 0) continue;
        EXPECT_EQ(length, std::min(size - 1, whole.size()));
        EXPECT_EQ(std::string(buffer), whole.substr(0, length));
    }
}

struct Row {
    Errc code;
    const char* name;
};
constexpr Row kRows[] = {
#define ERROR(id, linux_errno, result, ntstatus, text) {Errc::id, #id},
#include "base/errors.def"
};

TEST(Error, EveryRowHasItsNameAndATextOfItsOwn) {
    std::set<std::string_view> texts;
    for (const Row& row : kRows) {
        EXPECT_EQ(name(row.code), row.name);
        EXPECT_FALSE(message(row.code).empty()) << row.name;
        EXPECT_TRUE(texts.insert(message(row.code)).second) << row.name << " repeats a text";
    }
}

Result<int> half(int n) {
    if (n % 2 != 0) return fail(Errc::BadFormat, at_argument(1), "odd", static_cast<u64>(n));
    return n / 2;
}
Result<int> quarter(int n) {
    TRY_ASSIGN(const int once, half(n));
    TRY(half(once));
    return half(once);
}

TEST(Error, TryReturnsTheFirstError) {
    EXPECT_EQ(quarter(12).value(), 3);
    EXPECT_EQ(quarter(7).error().arg, 7U);
    EXPECT_EQ(quarter(6).error().arg, 3U);
    EXPECT_TRUE(quarter(6).error() == Errc::BadFormat);
}

}  // namespace
}  // namespace ebpf
