// SPDX-License-Identifier: MIT
// Every code has its page in docs/diagnostics, and the example on it gives that code with the very
// text that the page shows. CASEMENT_BLESS=1 writes the texts of the pages anew.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "engine/report_text.hpp"
#include "fixture.hpp"

namespace ebpf::verifier {
namespace {

struct Row {
    DiagnosticCode code;
    const char* name;
};
constexpr Row kRows[] = {
#define DIAGNOSTIC(id, name, ...) {DiagnosticCode::id, name},
#include "verifier/diagnostics.def"
};

std::string page_path(const char* name) {
    return std::string(CASEMENT_SOURCE_DIR "/docs/diagnostics/") + name + ".md";
}

std::string read(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// Where the text between "```kind" and "```" lies; empty when there is none.
std::pair<std::size_t, std::size_t> block(const std::string& page, const std::string& kind) {
    const std::string open = "```" + kind + "\n";
    const std::size_t at = page.find(open);
    if (at == std::string::npos) return {0, 0};
    const std::size_t begin = at + open.size();
    return {begin, page.find("```", begin) - begin};
}

// "Name: value" on a line of the page, "" when there is none.
std::string setting(const std::string& page, const std::string& name) {
    const std::size_t at = page.find("\n" + name + ": ");
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size() + 3;
    return page.substr(begin, page.find('\n', begin) - begin);
}

spec::ProgramType type_named(const std::string& name) {
    if (name.empty()) return spec::ProgramType::Xdp;
    for (int i = 1; i < spec::kProgramTypeCount; ++i) {
        const auto type = static_cast<spec::ProgramType>(i);
        const char* known = spec::info(type).name[0];
        if (known != nullptr && name == known) return type;
    }
    ADD_FAILURE() << "no program type " << name;
    return spec::ProgramType::Xdp;
}

class Pages : public testing::TestWithParam<Row> {};

TEST_P(Pages, ExampleGivesThisText) {
    const Row& row = GetParam();
    std::string page = read(page_path(row.name));
    ASSERT_FALSE(page.empty()) << "no page " << page_path(row.name);
    EXPECT_EQ(page.find("# " + std::string(row.name) + "\n"), 0u);
    EXPECT_NE(page.find(advice(row.code)), std::string::npos) << "the page lacks the row's advice";
    EXPECT_NE(page.find(explanation(row.code)), std::string::npos);
    // What the decoder refuses first has tests of its own below.
    if (row.code == DiagnosticCode::BadControlFlow || row.code == DiagnosticCode::FramePointerWrite)
        return;

    const auto [at, length] = block(page, "bpf");
    ASSERT_NE(at, 0u) << "no example";
    ir::Program program = make_program(page.substr(at, length));
    if (const std::string licence = setting(page, "Licence"); !licence.empty())
        program.license = licence;
    ir::Environment environment;
    environment.type =
        spec::program_info(spec::Dialect::Linux, type_named(setting(page, "Program type")));
    if (setting(page, "Caller") == "unprivileged")
        environment.privileges = {.root = false, .allow_ptr_leaks = false};
    Options options;
    if (const std::string steps = setting(page, "Steps"); !steps.empty())
        options.max_steps = static_cast<u64>(std::atoi(steps.c_str()));
    if (const std::string most = setting(page, "Stack of a chain"); !most.empty())
        options.max_stack = static_cast<u32>(std::atoi(most.c_str()));
    const Report report = analyze(program, environment, options);
    ASSERT_EQ(report.diagnostics.size(), 1u) << "the first error only";
    EXPECT_STREQ(name(report.diagnostics[0].code), row.name);

    const std::string text = engine::report_text(program, report, {});
    const auto [begin, size] = block(page, "text");
    ASSERT_NE(begin, 0u);
    if (std::getenv("CASEMENT_BLESS") != nullptr) {
        page.replace(begin, size, text);
        std::ofstream(page_path(row.name)) << page;
        return;
    }
    EXPECT_EQ(page.substr(begin, size), text);
}

INSTANTIATE_TEST_SUITE_P(Codes, Pages, testing::ValuesIn(kRows), [](const auto& row) {
    std::string id = row.param.name;
    for (char& c : id) c = c == '-' ? '_' : c;
    return id;
});

TEST(FramePointerWrite, IsCheckedAgain) {
    ir::Program program = make_program("r9 = 8\nr0 = 0\nexit\n");
    program.insns[0].dst = isa::kFramePointer;
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    EXPECT_EQ(outcome(analyze(program, environment, {})), "frame-pointer-write");
}

TEST(BadControlFlow, IsCheckedAgain) {
    ir::Program program = make_program("r0 = 0\nexit\n");
    program.insns.pop_back();
    program.subprograms[0].end = 1;
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    EXPECT_EQ(outcome(analyze(program, environment, {})), "bad-control-flow");
}

TEST(DiagnosticPages, TheListNamesEveryCode) {
    const std::string list = read(page_path("README"));
    for (const Row& row : kRows)
        EXPECT_NE(list.find("[" + std::string(row.name) + "]"), std::string::npos) << row.name;
}

}  // namespace
}  // namespace ebpf::verifier
