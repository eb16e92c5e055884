// SPDX-License-Identifier: MIT
//
// Loops written in C (tests/verifier/loops), as clang makes them at several levels and CPU
// versions: each program is accepted, and its twin, which differs by one mistake, is rejected with
// a code and at a line that the source names. What is not accepted yet is listed here, so that the
// list can only become shorter. Prints the counts and the slowest.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "read_object.hpp"
#include "spec/program_types.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::verifier {
namespace {

namespace fs = std::filesystem;

// Safe programs that are rejected today, and why.
const char* const kProducts = "an index times a size makes no relation (verifier/relations.hpp)";
const std::map<std::string, std::string> kNotYet = {
    {"range_value_64", kProducts},
    {"range_words", kProducts},
    {"range_long", "what relates two numbers is lost in a loop around the one that uses it"},
};

struct Expected {
    std::vector<std::string> programs;
    std::set<std::tuple<std::string, u32, std::string>> blamed;  // program, line, code
};

Expected read_source(const fs::path& path) {
    Expected expected;
    std::ifstream in(path);
    const std::regex program(R"(^LOOP\((\w+)\))"), twin(R"(twin(?: (\w+))?: ([^;]*))"),
        word(R"([a-z-]+)");
    std::string line;
    for (u32 number = 1; std::getline(in, line); ++number) {
        std::smatch m;
        if (std::regex_search(line, m, program)) expected.programs.push_back(m[1]);
        for (std::sregex_iterator t(line.begin(), line.end(), twin), end; t != end; ++t) {
            const std::string codes = (*t)[2];
            const std::string about = (*t)[1].matched ? (*t)[1].str() : expected.programs.back();
            for (std::sregex_iterator c(codes.begin(), codes.end(), word); c != end; ++c)
                expected.blamed.insert({about, number, c->str()});
        }
    }
    return expected;
}

struct Outcome {
    Verdict verdict = Verdict::Unsupported;  // also when the object's reader refused it
    std::string code, text;
    u32 line = 0;
    u64 usec = 0;
};

Outcome verify(const engine::Object& object, const std::string& name) {
    const engine::ObjectProgram* found = object.find("xdp", name);
    if (found == nullptr || !found->program)
        return {Verdict::Unsupported, "", found == nullptr ? "no such program" : found->message, 0,
                0};
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    const std::clock_t begin = std::clock();
    const Report report = analyze(*found->program, environment, {});
    Outcome o;
    o.usec = static_cast<u64>(std::clock() - begin) * 1'000'000 / CLOCKS_PER_SEC;
    o.verdict = report.verdict;
    if (report.diagnostics.empty()) return o;
    const Diagnostic& d = report.diagnostics[0];
    o.code = verifier::name(d.code);
    o.text = o.code + ": " + d.message;
    if (const ir::SourceLine* line = found->program->line_at(d.insn)) o.line = line->line;
    return o;
}

TEST(Loops, SafeOnesAreAcceptedAndTheirTwinsAreNot) {
    const fs::path objects = CASEMENT_LOOP_OBJECTS, sources = CASEMENT_LOOP_SOURCES;
    if (!fs::exists(objects)) GTEST_SKIP() << "no clang-19 compiled the loops";
    u32 programs = 0, accepted = 0, twins = 0, blamed = 0;
    u64 usec = 0;
    std::vector<std::pair<u64, std::string>> slow;
    std::set<std::string> not_yet;
    for (const auto& variant : fs::directory_iterator(objects)) {
        for (const char* file : {"counting", "bounds", "ranges", "packets", "strings", "calls",
                                 "nested", "iterators"}) {
            const Expected expected = read_source(sources / (std::string(file) + ".c"));
            const engine::Object safe = read_object(variant.path() / (std::string(file) + ".o"));
            const engine::Object twin =
                read_object(variant.path() / (std::string(file) + "_twin.o"));
            for (const std::string& name : expected.programs) {
                const std::string where = variant.path().filename().string() + " " + name;
                const Outcome o = verify(safe, name);
                ++programs;
                usec += o.usec;
                slow.push_back({o.usec, where});
                accepted += o.verdict == Verdict::Accept;
                if (o.verdict != Verdict::Accept) {
                    not_yet.insert(name);
                    EXPECT_TRUE(kNotYet.contains(name)) << where << ": " << o.text;
                }
                const Outcome t = verify(twin, name);
                ++twins;
                EXPECT_NE(t.verdict, Verdict::Accept) << "the twin of " << where;
                const bool right = expected.blamed.contains({name, t.line, t.code});
                blamed += right;
                if (variant.path().filename() == "O2-v3" && !kNotYet.contains(name)) {
                    EXPECT_TRUE(right) << where << ", line " << t.line << ": " << t.text;
                }
            }
        }
    }
    std::ranges::sort(slow, std::greater());
    std::printf("%u of %u accepted in %llu ms; %u of %u twins rejected where the source says\n",
                accepted, programs, static_cast<unsigned long long>(usec / 1000), blamed, twins);
    for (std::size_t i = 0; i < std::min<std::size_t>(slow.size(), 5); ++i)
        std::printf("  %llu us: %s\n", static_cast<unsigned long long>(slow[i].first),
                    slow[i].second.c_str());
    for (const auto& [name, why] : kNotYet)
        EXPECT_TRUE(not_yet.contains(name)) << name << " is accepted now: take it off the list";
}

}  // namespace
}  // namespace ebpf::verifier
