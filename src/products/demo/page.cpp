// SPDX-License-Identifier: MIT
#include "products/demo/page.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace demo {
namespace {

const char* escape(Style style) {
    switch (style) {
        case Style::Plain:
            return "";
        case Style::Title:
            return "\x1b[1m";
        case Style::Good:
            return "\x1b[32m";
        case Style::Bad:
            return "\x1b[1;31m";
        case Style::Faint:
            return "\x1b[2m";
        case Style::Accent:
            return "\x1b[36m";
    }
    return "";
}

// Columns that UTF-8 text takes, for the characters that this page uses.
size_t columns(std::string_view text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string padding(size_t width, std::string_view text) {
    return std::string(width - std::min(width, columns(text)), ' ');
}

}  // namespace

std::string Page::styled(Style style, std::string_view text) const {
    if (!coloured_ || style == Style::Plain) return std::string(text);
    return fmt::format("{}{}\x1b[0m", escape(style), text);
}

void Page::section(std::string_view title) const {
    fmt::print("\n{}\n{}\n", styled(Style::Title, title),
               styled(Style::Faint, std::string(columns(title), '-')));
}

void Page::step(std::string_view what, std::string_view detail, std::string_view time) const {
    fmt::print("  {}{} {}{}{}\n", styled(Style::Accent, what), padding(10, what), detail,
               padding(64, detail),
               time.empty() ? "" : padding(12, time) + styled(Style::Faint, time));
}

void Page::line(std::string_view text) const {
    fmt::print("  {}\n", text);
}

void Page::block(std::string_view text) const {
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        fmt::print("  {} {}\n", styled(Style::Faint, "|"), text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void Page::table(const std::vector<std::vector<std::string>>& rows) const {
    std::vector<size_t> width;
    for (const auto& row : rows) {
        width.resize(std::max(width.size(), row.size()));
        for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], columns(row[i]));
    }
    for (const auto& row : rows) {
        const bool head = &row == &rows.front();
        std::string text = "  ";
        for (size_t i = 0; i < row.size(); ++i) {
            Style style = head ? Style::Faint : Style::Plain;
            if (row[i] == "yes") style = Style::Good;
            if (row[i] == "NO") style = Style::Bad;
            const std::string cell = styled(style, row[i]);
            text += i == 0 ? cell + padding(width[0], row[0])
                           : "   " + padding(width[i], row[i]) + cell;
        }
        fmt::print("{}\n", text);
    }
}

std::string grouped(unsigned long long number) {
    std::string text = std::to_string(number);
    for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
    return text;
}

std::string duration(double nanoseconds) {
    if (nanoseconds < 1e3) return fmt::format("{:.1f} ns", nanoseconds);
    if (nanoseconds < 1e6) return fmt::format("{:.1f} µs", nanoseconds / 1e3);
    if (nanoseconds < 1e9) return fmt::format("{:.1f} ms", nanoseconds / 1e6);
    return fmt::format("{:.2f} s", nanoseconds / 1e9);
}

}  // namespace demo
