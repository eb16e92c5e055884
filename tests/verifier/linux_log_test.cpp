// SPDX-License-Identifier: MIT
//
// Our log in Linux's format beside that of Linux's own verifier, as root, for the same programs.
// Before they are compared, what cannot be equal goes (docs/verifier-log.md): numbers of
// identities, Linux's lines about its own work (precision, liveness), and where Linux joins two
// lines.
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "fixture.hpp"
#include "oracles/kernel.hpp"

namespace ebpf::verifier {
namespace {

struct Case {
    const char* name;
    const char* text;
    // What is compared: all of the log, or the instructions on the way and the last line.
    enum { All, WayAndEnd, Way } what = All;
};

// Level 1 of these, which both refuse.
constexpr Case kRefused[] = {
    {"uninitialised", "r0 = r3\nexit\n"},
    {"no_result", "exit\n"},
    {"number_as_address", "r1 = 0\nr0 = *(u32 *)(r1 + 0)\nexit\n"},
    {"context_as_value", "r2 = *(u32 *)(r1 + 100)\nr0 = 0\nexit\n"},
    {"context_write", "*(u32 *)(r1 + 0) = 5\nr0 = 0\nexit\n"},
    {"stack_far", "*(u64 *)(r10 - 520) = 1\nr0 = 0\nexit\n"},
    {"stack_above", "r0 = *(u64 *)(r10 + 8)\nexit\n"},
    {"unknown_helper", "call 9999\nexit\n"},
    {"number_for_map", "r1 = 0\nr2 = 0\ncall 1\nr0 = 0\nexit\n"},
    {"number_for_key", "ld_pseudo r1, 5, 0\nr2 = 0\ncall 1\nr0 = 0\nexit\n", Case::WayAndEnd},
    {"null_value",
     "*(u32 *)(r10 - 4) = 1\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 0\ncall 1\n"
     "r0 = *(u64 *)(r0 + 0)\nexit\n",
     Case::WayAndEnd},
    {"value_end",
     "*(u32 *)(r10 - 4) = 1\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 0\ncall 1\nif r0 == 0 goto out\n"
     "r1 = *(u64 *)(r0 + 4)\nout:\nr0 = 0\nexit\n",
     Case::WayAndEnd},
    {"value_before",
     "*(u32 *)(r10 - 4) = 1\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 0\ncall 1\nif r0 == 0 goto out\n"
     "r1 = *(u64 *)(r0 - 4)\nout:\nr0 = 0\nexit\n",
     Case::Way},
    {"value_index",
     "r6 = *(u32 *)(r1 + 12)\n*(u32 *)(r10 - 4) = 1\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 1\n"
     "call 1\nif r0 == 0 goto out\nr6 &= 127\nr0 += r6\nr1 = *(u8 *)(r0 + 0)\nout:\nr0 = 0\nexit\n",
     Case::WayAndEnd},
    {"packet_end",
     "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\n"
     "r5 = *(u8 *)(r2 + 14)\nout:\nr0 = 2\nexit\n"},
    {"packet_unchecked", "r2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 0)\nexit\n"},
    {"packet_variable",
     "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr5 = *(u32 *)(r1 + 12)\nr5 &= 15\nr4 = r2\n"
     "r4 += r5\nr0 = *(u8 *)(r4 + 0)\nexit\n",
     Case::WayAndEnd},
    {"taken", "call 7\nif r0 > 9 goto l\nr0 = 1\nexit\nl:\nr7 = -5\nr1 = r3\nexit\n"},
    {"after_a_call", "r1 = 5\ncall f\nr3 = r9\nexit\nf:\nr0 = r1\nr0 <<= 1\nexit\n"},
    {"in_a_call", "r1 = 5\ncall f\nexit\nf:\nr0 = r6\nexit\n"},
    {"numbers",
     "r6 = 100000\nr2 = -100000\n*(u32 *)(r10 - 4) = 7\n*(u8 *)(r10 - 9) = 7\nw5 = -1\n"
     "r9 = r8\nexit\n",
     Case::WayAndEnd},
    {"ranges", "call 7\nr0 &= 255\nr1 = r0\nr1 += 3\nr1 <<= 2\nr9 = r8\nexit\n", Case::WayAndEnd},
    {"context_moved", "r6 = r1\ncall 7\nr6 += r0\nr0 = 0\nexit\n"},
    {"stack_moved", "call 7\nr1 = r10\nr1 += r0\nr0 = *(u8 *)(r1 + 0)\nexit\n"},
    {"size_unlimited",
     "call 7\nr2 = r0\nr1 = r10\nr1 += -8\n*(u64 *)(r10 - 8) = 0\nr3 = r10\nr3 += -8\nr4 = 8\n"
     "r5 = 0\ncall 28\nr0 = 0\nexit\n",
     Case::WayAndEnd},
    {"reference", "ld_pseudo r1, 5, 3\nr2 = 8\nr3 = 0\ncall 131\nr0 = 0\nexit\n", Case::WayAndEnd},
    {"too_deep",
     "call a\nexit\na:\ncall b\nexit\nb:\ncall c\nexit\nc:\ncall d\nexit\nd:\ncall e\nexit\n"
     "e:\ncall f\nexit\nf:\ncall g\nexit\ng:\ncall h\nexit\nh:\nr0 = 0\nexit\n"},
};

// Level 2 of these, which both accept.
constexpr Case kAccepted[] = {
    {"plain", "r0 = 2\nexit\n"},
    {"stack", "r1 = 7\n*(u64 *)(r10 - 8) = r1\nr2 = *(u64 *)(r10 - 8)\nr0 = 0\nexit\n"},
    {"packet",
     "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\n"
     "r5 = *(u8 *)(r2 + 13)\nout:\nr0 = 2\nexit\n",
     Case::Way},
    {"branches", "call 7\nif r0 > 9 goto l\nr6 = 1\nl:\nr0 = 2\nexit\n", Case::Way},
    {"call", "r1 = 5\ncall f\nexit\nf:\nr0 = r1\nr0 <<= 1\nexit\n", Case::Way},
    {"value",
     "*(u32 *)(r10 - 4) = 1\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 0\ncall 1\nif r0 == 0 goto out\n"
     "r1 = *(u64 *)(r0 + 0)\nout:\nr0 = 0\nexit\n",
     Case::Way},
};

// Without what is Linux's own, a line each.
std::vector<std::string> lines_of(std::string text) {
    text = std::regex_replace(text, std::regex("(goto pc[+-][0-9]+) ([0-9]+: )"), "$1\n$2");
    text = std::regex_replace(text, std::regex("\\b(id|ref_obj_id|ref_id|refs)=[0-9]+"), "$1=N");
    text = std::regex_replace(text, std::regex("id=N[+-][0-9]+"), "id=N");
    const std::regex own(
        "mark_precise.*|func#.*|Live regs.*|SCC .*|processed .*|from [0-9]+ to .*|"
        " *[0-9]* +[0-9]+: [.0-9]{10} .*|\\([0-9]+\\) (frame|live).*|verification time.*|"
        "stack depth.*|");
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (!std::regex_match(line, own)) lines.push_back(line);
    return lines;
}

// `0: (b7) r0 = 2` without what is behind it. Linux shows a map's address, which is none of ours.
std::vector<std::string> instructions_of(const std::vector<std::string>& lines) {
    std::vector<std::string> out;
    std::smatch found;
    for (const std::string& line : lines) {
        if (std::regex_match(line, found, std::regex("([0-9]+: \\([0-9a-f]{2}\\) [^;]*?) *(;.*)?")))
            out.push_back(
                std::regex_replace(found.str(1), std::regex("(\\(18\\) r[0-9] = ).*"), "$1MAP"));
    }
    return out;
}

class LinuxLog : public testing::Test {
  protected:
    void SetUp() override {
        if (!kernel_.there()) GTEST_SKIP() << "bpf(2) is not permitted here";
        environment_.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    }

    void compare(const Case& c, u32 level) {
        SCOPED_TRACE(c.name);
        ir::Program program = make_program(c.text);
        program.type = spec::ProgramType::Xdp;
        const auto answer = kernel_.load(program, "GPL", 0, level);
        const Report report = analyze(program, environment_, {});
        ASSERT_EQ(answer.accepted, report.verdict == Verdict::Accept) << answer.log;
        const LinuxText text = linux_log(program, environment_, {},
                                         level == 2 ? LogDetail::All : LogDetail::Path, report);
        const auto theirs = lines_of(answer.log), ours = lines_of(text.way + text.words);
        if (c.what == Case::All) {
            EXPECT_EQ(ours, theirs);
            return;
        }
        if (level == 1) {
            EXPECT_EQ(instructions_of(ours), instructions_of(theirs));
        } else {  // who finds a state that stands for another, and where, differs
            const auto all = [](const std::vector<std::string>& v) {
                return std::set<std::string>(v.begin(), v.end());
            };
            EXPECT_EQ(all(instructions_of(ours)), all(instructions_of(theirs)));
        }
        if (c.what == Case::WayAndEnd) {
            EXPECT_EQ(ours.back(), theirs.back());
        }
        if (level == 1) {
            const LinuxText end = linux_log(program, environment_, {}, LogDetail::None, report);
            EXPECT_EQ(end.words, text.words);
            EXPECT_EQ(end.way, "");
        }
    }

    oracle::Kernel kernel_{test_maps()};
    ir::Environment environment_;
};

TEST_F(LinuxLog, RefusedProgramsAtLevel1) {
    for (const Case& c : kRefused) compare(c, 1);
}

TEST_F(LinuxLog, AcceptedProgramsAtLevel2) {
    for (const Case& c : kAccepted) compare(c, 2);
}

}  // namespace
}  // namespace ebpf::verifier
