// SPDX-License-Identifier: MIT
// How the demo's page looks: aligned columns, coloured on a terminal and plain elsewhere.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

enum class Style { Plain, Title, Good, Bad, Faint, Accent };

class Page {
  public:
    explicit Page(bool coloured) : coloured_(coloured) {}

    std::string styled(Style style, std::string_view text) const;

    // A heading with a line below it.
    void section(std::string_view title) const;
    // One step of the way: what was done, with what, how long it took ("" to leave a column out).
    void step(std::string_view what, std::string_view detail, std::string_view time) const;
    void line(std::string_view text) const;
    // An indented block, e.g. the verifier's report; the reader's eye is led to `error` lines.
    void block(std::string_view text) const;

    // Rows of cells; the first column is aligned left, the others right. The first row is the head.
    void table(const std::vector<std::vector<std::string>>& rows) const;

  private:
    bool coloured_;
};

// 1234567 as "1,234,567".
std::string grouped(unsigned long long number);
// Nanoseconds as "12.3 µs", "4.56 ms" ...
std::string duration(double nanoseconds);

}  // namespace demo
