// SPDX-License-Identifier: MIT
//
// errno of wrong calls, as Linux gives it: each row is put to the kernel's bpf(2) and to ours, and
// the two answers must be the same. Nothing here states what is right: the kernel that runs the
// test does. Each row starts from new objects, made alike on both sides.
//
// Where we differ on purpose stands in docs/errors.md, whose table is read here: a difference that
// it lacks fails, and so does a line that no row needs. Kernels differ among themselves; the table
// was made with the one that it names, and with another only what both agree on is asserted.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>

#include "errno_side.hpp"

// Maps that are too large are asked for: the sanitizer's allocator shall refuse them as others do.
extern "C" const char* __asan_default_options() {
    return "allocator_may_return_null=1";
}

namespace ebpf::tests {
namespace {

constexpr const char* kTable = CASEMENT_SOURCE_DIR "/docs/errors.md";
constexpr std::string_view kKernel = "6.18.";  // of the table

std::string name_of(int error) {
    if (error == 0) return "ok";
    if (error == 524) return "ENOTSUPP";  // the kernel's own, without a name outside
    const char* name = strerrorname_np(error);
    return name ? name : std::to_string(error);
}

// A line of the table: calls by a pattern, and what both sides answer.
struct Difference {
    std::string calls, here, linux;
    int used = 0;
};

bool matches(std::string_view pattern, std::string_view text) {
    if (pattern.empty()) return text.empty();
    if (pattern.front() != '*') {
        return !text.empty() && pattern.front() == text.front() &&
               matches(pattern.substr(1), text.substr(1));
    }
    for (std::size_t skip = 0; skip <= text.size(); ++skip) {
        if (matches(pattern.substr(1), text.substr(skip))) return true;
    }
    return false;
}

// Whether `name` is one of "A or B or C", or of "any".
bool is_one_of(const std::string& names, const std::string& name) {
    if (names == "any") return true;
    return (" or " + names + " or ").find(" or " + name + " or ") != std::string::npos;
}

std::vector<Difference> read_table() {
    std::vector<Difference> table;
    std::ifstream in(kTable);
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with("| `")) continue;
        std::vector<std::string> cells;
        for (std::size_t at = 1; at < line.size();) {
            const std::size_t end = std::min(line.find(" |", at), line.size());
            cells.push_back(line.substr(at + 1, end - at - 1));
            at = end + 2;
        }
        if (cells.size() < 4) continue;
        std::string calls = cells[0].substr(1, cells[0].size() - 2);
        table.push_back({calls, cells[1], cells[2]});
    }
    return table;
}

bool allowed(std::vector<Difference>& table, const std::string& row, const std::string& here,
             const std::string& linux) {
    for (Difference& difference : table) {
        if (!matches(difference.calls, row) || !is_one_of(difference.here, here) ||
            !is_one_of(difference.linux, linux)) {
            continue;
        }
        ++difference.used;
        return true;
    }
    return false;
}

TEST(Errno, WrongCallsAreAnsweredAsTheKernelAnswersThem) {
    if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no network namespace of the test's own";
    const Side kernel(&kernel_call);
    if (!kernel.complete()) GTEST_SKIP() << "bpf(2) is not permitted here";
    const Side ours(&our_call);
    ASSERT_TRUE(ours.complete());
    utsname system{};
    uname(&system);
    const bool same_kernel = std::string_view(system.release).starts_with(kKernel);

    std::vector<Row> rows;
    add_listed_rows(rows);
    add_field_rows(rows);
    add_map_rows(rows);
    std::vector<Difference> table = read_table();
    ASSERT_FALSE(table.empty()) << kTable;

    unsigned same = 0, listed = 0, other = 0;
    const char* const trace = std::getenv("CASEMENT_ERRNO_ROWS");
    for (const Row& row : rows) {
        if (trace) std::fprintf(stderr, "%s\n", row.name.c_str());
        const auto ask = [&row](const Side& kept) {
            if (row.changes_nothing) return name_of(row.ask(kept));
            return name_of(row.ask(Side(kept.call, row.with_link)));
        };
        const std::string theirs = ask(kernel);
        const std::string here = ask(ours);
        if (theirs == here) {
            ++same;
        } else if (allowed(table, row.name, here, theirs)) {
            ++listed;
        } else {
            ++other;
            if (same_kernel) ADD_FAILURE() << row.name << ": here " << here << ", Linux " << theirs;
        }
    }
    for (const Difference& difference : table) {
        const bool one_answer =
            difference.linux.find(" or ") == std::string::npos && difference.linux != "any";
        if (same_kernel && one_answer) {
            EXPECT_GT(difference.used, 0) << difference.calls << ": no longer different";
        }
    }
    std::printf(
        "%zu calls: %u answered as by Linux %s, %u differ as docs/errors.md says, %u other\n",
        rows.size(), same, system.release, listed, other);
    // Another kernel's answers are its own, but most are everybody's.
    if (!same_kernel) {
        EXPECT_GT(same, rows.size() * 3 / 4);
    }
}

}  // namespace
}  // namespace ebpf::tests
