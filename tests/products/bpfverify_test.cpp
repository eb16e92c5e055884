// SPDX-License-Identifier: MIT
//
// bpfverify over the example programs, as its users see it: exit status, text, and the JSON
// contract of ARCHITECTURE.md ("What checks rely on").
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace {

using nlohmann::json;
using testing::HasSubstr;

struct Outcome {
    int status = -1;
    std::string output, errors;
};

// Tests run in parallel processes, each with its own files.
std::string own_file(const std::string& name) {
    return testing::TempDir() + "bpfverify_" + std::to_string(getpid()) + "_" + name;
}

std::string object(const std::string& name) {
    return std::string(CASEMENT_EXAMPLE_OBJECTS) + "/" + name;
}

Outcome run(const std::string& arguments) {
    const std::string errors = own_file("errors");
    Outcome outcome;
    std::FILE* pipe =
        popen((std::string(CASEMENT_BPFVERIFY) + " " + arguments + " 2>" + errors).c_str(), "r");
    char part[4096];
    while (const size_t n = std::fread(part, 1, sizeof part, pipe)) outcome.output.append(part, n);
    outcome.status = WEXITSTATUS(pclose(pipe));
    std::ifstream in(errors);
    outcome.errors.assign(std::istreambuf_iterator<char>(in), {});
    std::remove(errors.c_str());
    return outcome;
}

std::vector<json> lines(const Outcome& outcome) {
    std::vector<json> all;
    std::istringstream in(outcome.output);
    for (std::string line; std::getline(in, line);) all.push_back(json::parse(line));
    return all;
}

void expect_contract(const json& line) {
    std::set<std::string> keys;
    for (const auto& [key, value] : line.items()) keys.insert(key);
    EXPECT_EQ(keys, (std::set<std::string>{"file", "section", "program", "instructions", "verdict",
                                           "usec", "peak_kib", "diagnostics"}));
    EXPECT_TRUE(line["instructions"].is_number_unsigned());
    EXPECT_TRUE(line["usec"].is_number_unsigned());
    EXPECT_TRUE(line["peak_kib"].is_number_unsigned());
    EXPECT_THAT(line["verdict"].get<std::string>(),
                testing::AnyOf("accept", "reject", "unsupported", "error"));
    for (const json& diagnostic : line["diagnostics"]) {
        EXPECT_TRUE(diagnostic["code"].is_string());
        EXPECT_TRUE(diagnostic["message"].is_string());
        EXPECT_TRUE(diagnostic.contains("instruction"));
        EXPECT_TRUE(diagnostic["notes"].is_array());
        if (!diagnostic["source"].is_null()) {
            EXPECT_TRUE(diagnostic["source"]["file"].is_string());
            EXPECT_TRUE(diagnostic["source"]["line"].is_number_unsigned());
            EXPECT_TRUE(diagnostic["source"]["text"].is_string());
        }
    }
}

class BpfverifyTest : public testing::Test {
  protected:
    void SetUp() override {
        if (!std::filesystem::exists(object("drop_empty_udp.o"))) {
            GTEST_SKIP() << "the example objects are not built: no clang with a BPF target";
        }
    }
};

TEST_F(BpfverifyTest, SafeProgramIsAccepted) {
    const Outcome outcome = run("--json " + object("drop_empty_udp.o"));
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    const auto all = lines(outcome);
    ASSERT_EQ(all.size(), 1u);
    expect_contract(all[0]);
    EXPECT_EQ(all[0]["verdict"], "accept");
    EXPECT_EQ(all[0]["program"], "drop_empty_udp");
    EXPECT_EQ(all[0]["section"], "xdp");
    EXPECT_GT(all[0]["instructions"], 100);
    EXPECT_TRUE(all[0]["diagnostics"].empty());
}

TEST_F(BpfverifyTest, UnsafeProgramIsRejectedAtItsSourceLine) {
    const Outcome outcome = run("--json " + object("drop_empty_udp_unsafe.o"));
    EXPECT_EQ(outcome.status, 1);
    const auto all = lines(outcome);
    ASSERT_EQ(all.size(), 1u);
    expect_contract(all[0]);
    EXPECT_EQ(all[0]["verdict"], "reject");
    ASSERT_FALSE(all[0]["diagnostics"].empty());
    const json& diagnostic = all[0]["diagnostics"][0];
    EXPECT_EQ(diagnostic["code"], "packet-bounds");
    EXPECT_THAT(diagnostic["source"]["file"].get<std::string>(),
                HasSubstr("drop_empty_udp_unsafe.bpf.c"));
    EXPECT_THAT(diagnostic["source"]["text"].get<std::string>(), HasSubstr("udp->len"));
    EXPECT_FALSE(diagnostic["notes"].empty());
}

TEST_F(BpfverifyTest, TextNamesLineAndRemedy) {
    const Outcome outcome = run(object("drop_empty_udp_unsafe.o"));
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.output, HasSubstr("reject"));
    EXPECT_THAT(outcome.output, HasSubstr("udp->len"));
    EXPECT_THAT(outcome.output, HasSubstr("data_end"));
    EXPECT_THAT(outcome.output, testing::Not(HasSubstr("\x1b["))) << "colour in a pipe";
}

TEST_F(BpfverifyTest, TypesOfAKernelAreFilesOfBothKinds) {
    const std::string folder = std::string(CASEMENT_TEST_OBJECTS) + "/clang19/";
    if (!std::filesystem::exists(folder + "core.o")) GTEST_SKIP() << "no clang-19";
    const auto all = lines(run("--json --btf " + folder + "core_target.o " + folder + "core.o"));
    std::map<std::string, json> by_name;
    for (const json& line : all) {
        expect_contract(line);
        by_name[line["program"]] = line;
    }
    EXPECT_EQ(by_name["guarded"]["verdict"], "accept");
    const json& lacking = by_name["unguarded"];
    EXPECT_EQ(lacking["verdict"], "unsupported");
    EXPECT_EQ(lacking["diagnostics"].at(0)["code"], "target-lacks");
    EXPECT_THAT(lacking["diagnostics"][0]["message"].get<std::string>(),
                HasSubstr("struct gadget has no member 'gone'"));
    EXPECT_EQ(lacking["diagnostics"][0]["source"]["text"], "    return g->gone;");
    // Without it the object's own types answer.
    EXPECT_EQ(lines(run("--json --program unguarded " + folder + "core.o")).at(0)["verdict"],
              "accept");

    EXPECT_EQ(run("--btf /no/such/file " + folder + "core.o").status, 2);
    const Outcome none = run("--btf " + folder + "legacy.o " + folder + "core.o");
    EXPECT_EQ(none.status, 2);
    EXPECT_THAT(none.errors, HasSubstr("section .BTF"));
    if (!std::filesystem::exists("/sys/kernel/btf/vmlinux")) return;
    const Outcome raw =
        run("--json --btf /sys/kernel/btf/vmlinux --program nothing_exists " + folder + "core.o");
    EXPECT_EQ(raw.status, 0) << raw.errors;
}

TEST_F(BpfverifyTest, SelectionAndDump) {
    EXPECT_EQ(run("--program drop_empty_udp --dump insns " + object("drop_empty_udp.o")).status, 0);
    const Outcome none = run("--program nothing " + object("drop_empty_udp.o"));
    EXPECT_EQ(none.status, 2);
    EXPECT_THAT(none.errors, HasSubstr("no such program"));
    EXPECT_EQ(run("--section xdp " + object("packet_events.o")).status, 0);
    EXPECT_EQ(run("--section tc " + object("packet_events.o")).status, 2);
    EXPECT_THAT(run("--dump insns " + object("packet_events.o")).output, HasSubstr("exit"));
    const std::string states = run("--dump=states " + object("packet_events.o")).output;
    EXPECT_THAT(states, HasSubstr("r1=context"));
}

// Of rows in columns; 0 where there are none.
std::size_t longest_row(const std::string& lines) {
    std::istringstream in(lines);
    std::size_t longest = 0;
    for (std::string row; std::getline(in, row);) {
        if (!row.starts_with("; ") && row.find(" | ") != std::string::npos)
            longest = std::max(longest, row.size());
    }
    return longest;
}

// Lines with `number`, an instruction's, in front of `text`.
int count_numbered(const std::string& lines, const std::string& number, const std::string& text) {
    int count = 0;
    for (std::size_t at = 0; (at = lines.find(number + "  " + text, at)) != std::string::npos; ++at)
        ++count;
    return count;
}

void shows_code_side_by_side(const std::string& accepted, const std::string& lowered) {
    const std::string columns = run("--dump=code --width 160 " + accepted).output;
    EXPECT_THAT(columns, testing::ContainsRegex("byte code +\\| lowered, .* \\| machine code\n"));
    EXPECT_THAT(columns, HasSubstr("udp->len"));
    EXPECT_THAT(columns, HasSubstr("# packet"));
    EXPECT_GT(longest_row(columns), 100u);
    EXPECT_LE(longest_row(columns), 160u);
    // Linux's 32-bit field of the context is a 64-bit one here, in the same slot.
    std::size_t at = lowered.find("# context");
    ASSERT_NE(at, std::string::npos);
    at = lowered.rfind('\n', at) + 1;
    const std::string number = lowered.substr(at, 6).substr(1);
    EXPECT_EQ(count_numbered(columns, number, ""), 2) << "number" << number;
    EXPECT_EQ(count_numbered(columns, number, lowered.substr(at + 8, 4)), 1) << "in one of them";

    const std::string blocks = run("--dump=code " + accepted).output;  // into a pipe
    EXPECT_EQ(longest_row(blocks), 0u);
    EXPECT_EQ(count_numbered(blocks, number, ""), 2);
    EXPECT_EQ(longest_row(run("--dump=code --width 80 " + accepted).output), 0u);
    EXPECT_EQ(run("--dump=code --width 100000000 " + accepted).status, 2);
    const std::string optimised =
        run("--dump=code --level optimise --width 160 " + accepted).output;
    EXPECT_THAT(optimised, HasSubstr("udp->len"));
    EXPECT_NE(optimised, columns);
}

TEST_F(BpfverifyTest, ShowsWhatEnginesGet) {
    const std::string accepted = "--program drop_empty_udp " + object("drop_empty_udp.o");
    const std::string lowered = run("--dump=xlated " + accepted).output;
    EXPECT_THAT(lowered, HasSubstr("drop_empty_udp:\n"));
    EXPECT_THAT(lowered, HasSubstr("udp->len")) << "source lines";
    EXPECT_THAT(lowered, HasSubstr("# context")) << "facts";
    EXPECT_THAT(lowered, HasSubstr("# packet"));
    const std::string code = run("--dump=jited " + accepted).output;
    EXPECT_THAT(code, HasSubstr("udp->len"));
    EXPECT_GT(code.size(), lowered.size());
    const std::string optimised = run("--dump=jited --level optimise " + accepted).output;
    EXPECT_THAT(optimised, HasSubstr("udp->len"));
    shows_code_side_by_side(accepted, lowered);
    // There is no code of what is not accepted.
    const Outcome rejected = run("--dump=jited " + object("drop_empty_udp_unsafe.o"));
    EXPECT_EQ(rejected.status, 1);
    EXPECT_THAT(rejected.output, testing::Not(HasSubstr("# packet")));
}

TEST_F(BpfverifyTest, UnreadableFilesAreStatusTwo) {
    EXPECT_EQ(run("/nonexistent.o").status, 2);
    EXPECT_EQ(run("--json /dev/null").status, 2);
    EXPECT_EQ(run("").status, 2);
    EXPECT_EQ(run("--dialect klingon " + object("packet_events.o")).status, 2);
    const Outcome unknown = run("--type nothing " + object("packet_events.o"));
    EXPECT_EQ(unknown.status, 2);
    EXPECT_THAT(unknown.errors, HasSubstr(", socket_filter,"));  // what there is instead
}

TEST_F(BpfverifyTest, DamagedObjectsNeverCrashIt) {
    std::ifstream in(object("packet_events.o"), std::ios::binary);
    const std::string whole(std::istreambuf_iterator<char>(in), {});
    const std::string path = own_file("damaged.o");
    unsigned seed = 1;
    for (int round = 0; round < 60; ++round) {
        std::string bytes = whole;
        for (int i = 0; i < 1 + round % 8; ++i) {
            seed = seed * 1664525 + 1013904223;
            bytes[seed % bytes.size()] = static_cast<char>(seed >> 24);
        }
        if (round % 3 == 0) bytes.resize(seed % bytes.size());
        std::ofstream(path, std::ios::binary)
            .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        const Outcome outcome = run("--json " + path);
        EXPECT_THAT(outcome.status, testing::AnyOf(0, 1, 2)) << "round " << round;
        if (outcome.status < 2) {
            for (const json& line : lines(outcome)) expect_contract(line);
        }
    }
    std::remove(path.c_str());
}

// The object is in eBPF for Windows' dialect, and shows it.
TEST_F(BpfverifyTest, WindowsDialect) {
    for (const char* dialect : {"windows", "auto"}) {
        const Outcome outcome =
            run("--json --dialect " + std::string(dialect) + " " + object("windows_droppacket.o"));
        EXPECT_EQ(outcome.status, 0) << outcome.output;
        const auto programs = lines(outcome);
        ASSERT_EQ(programs.size(), 2u) << dialect;
        for (const json& line : programs) {
            expect_contract(line);
            EXPECT_EQ(line["verdict"], "accept") << line;
        }
    }
    EXPECT_NE(run("--dialect linux " + object("windows_droppacket.o")).status, 0);
}

}  // namespace
