// SPDX-License-Identifier: MIT
// Programs in both dialects' styles, compiled against the SDK with each clang that is installed;
// the numbers of the helpers that the compiler emits are the tables'.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "elf/elf.hpp"
#include "spec/helpers.hpp"
#include "spec/program_types.hpp"

namespace ebpf::spec {
namespace {

namespace fs = std::filesystem;

std::string run(const std::string& command, bool& ok) {
    std::string output;
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    char buffer[4096];
    while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
    ok = pipe != nullptr && pclose(pipe) == 0;
    return output;
}

bool installed(const std::string& program) {
    bool ok = false;
    run(program + " --version", ok);
    return ok;
}

// The immediates of the helper calls (opcode 0x85, source register 0) of each code section.
std::map<std::string, std::set<u32>> helper_calls(const fs::path& object) {
    std::ifstream in(object, std::ios::binary);
    std::stringstream content;
    content << in.rdbuf();
    const std::string bytes = content.str();
    const auto file = elf::File::open(std::as_bytes(std::span(bytes)));
    EXPECT_TRUE(file) << object;
    std::map<std::string, std::set<u32>> calls;
    if (!file) return calls;
    for (u32 i = 0; i < file->section_count(); ++i) {
        const auto section = file->section(i);
        if (!section || !section->is_code()) continue;
        for (u64 at = 0; at + 8 <= section->bytes.size(); at += 8) {
            const std::byte* insn = section->bytes.data() + at;
            if (insn[0] == std::byte{0x18}) at += 8;  // a constant of two slots
            if (insn[0] != std::byte{0x85} || (insn[1] >> 4) != std::byte{0}) continue;
            calls[std::string(section->name)].insert(load_le<u32>(insn + 4));
        }
    }
    return calls;
}

class Sdk : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        if (!installed(GetParam())) GTEST_SKIP() << GetParam() << " is not installed";
    }

    // Compiles strictly: a warning in the SDK would be one in every program.
    std::map<std::string, std::set<u32>> compile(const fs::path& source, Dialect dialect) {
        const fs::path object =
            fs::path(testing::TempDir()) /
            (source.stem().string() + "." + GetParam() + "." + std::to_string(::getpid()) + ".o");
        const std::string include = dialect == Dialect::Linux ? "-I" SDK_INCLUDE " -I" UAPI_INCLUDE
                                                              : "-I" SDK_INCLUDE "/windows";
        bool ok = false;
        const std::string output =
            run(std::string(GetParam()) + " -target bpf -O2 -g -Wall -Wextra -Werror -std=gnu11 " +
                    include + " -c " + source.string() + " -o " + object.string(),
                ok);
        EXPECT_TRUE(ok) << output;
        const auto calls = ok ? helper_calls(object) : std::map<std::string, std::set<u32>>{};
        fs::remove(object);
        return calls;
    }

    std::map<std::string, std::set<u32>> program(const char* name, Dialect dialect) {
        return compile(fs::path("tests/spec/programs") / name, dialect);
    }
};

using Numbers = std::set<u32>;

TEST_P(Sdk, LinuxPrograms) {
    auto calls = program("linux_xdp.c", Dialect::Linux);
    EXPECT_EQ(calls["xdp"], (Numbers{1, 2, 5, 6, 12, 131, 132, 177}));
    calls = program("linux_legacy.c", Dialect::Linux);
    EXPECT_EQ(calls["socket"], Numbers{1});
    calls = program("linux_tracing.c", Dialect::Linux);
    EXPECT_EQ(calls["fentry/one"], (Numbers{113, 115}));
    EXPECT_EQ(calls["kprobe/two"], Numbers{113});
    EXPECT_EQ(calls["iter/task"], (Numbers{126, 165}));
    EXPECT_TRUE(calls["kretprobe/two"].empty());
}

TEST_P(Sdk, WindowsPrograms) {
    auto calls = program("windows_xdp.c", Dialect::Windows);
    EXPECT_EQ(calls["xdp"], (Numbers{1, 0x10000}));
    calls = program("windows_bind.c", Dialect::Windows);
    EXPECT_EQ(calls["bind"], Numbers{5});
    EXPECT_EQ(calls["bind/0"], (Numbers{1, 2, 3, 11, 12, 15, 19, 24}));
    calls = program("windows_sock_addr.c", Dialect::Windows);
    EXPECT_EQ(calls["cgroup/connect4"], (Numbers{21, 0x10001, 0x10002}));
    EXPECT_EQ(calls["sockops"], Numbers{0x10000});
    calls = program("windows_sample.c", Dialect::Windows);
    EXPECT_EQ(calls["sample_ext/0"], (Numbers{0x10000, 0x10001, 0x10002}));
    EXPECT_EQ(calls["sample_ext/1"], (Numbers{22, 23, 29}));
    EXPECT_EQ(calls["process"], Numbers{0x10000});
    EXPECT_EQ(calls["netevent_monitor"], Numbers{0x10000});
}

// Every helper by its name: one section, one call, its number.
TEST_P(Sdk, EveryHelper) {
    for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
        const fs::path source =
            fs::path(testing::TempDir()) / ("every_" + std::to_string(static_cast<int>(dialect)) +
                                            GetParam() + std::to_string(::getpid()) + ".c");
        std::ofstream out(source);
        if (dialect == Dialect::Linux) {
            out << "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n";
        } else {
            out << "#include \"bpf_helpers.h\"\n#include \"ebpf_ntos_hooks.h\"\n"
                   "#include \"sample_ext_helpers.h\"\n";
        }
        std::map<std::string, u32> expected;
        for (int i = 0; i < kHelperCount; ++i) {
            const auto helper = static_cast<Helper>(i);
            if (number(dialect, helper) < 0 || number(dialect, helper) == kByName) continue;
            const std::string name = info(helper).name;
            expected["call/" + name] = static_cast<u32>(number(dialect, helper));
            out << "SEC(\"call/" << name << "\") long call_" << name
                << "(void) { return ((long (*)(void))(void *)" << name << ")(); }\n";
        }
        out.close();
        auto calls = compile(source, dialect);
        fs::remove(source);
        EXPECT_EQ(calls.size(), expected.size());
        for (const auto& [section, n] : expected) EXPECT_EQ(calls[section], Numbers{n}) << section;
    }
}

INSTANTIATE_TEST_SUITE_P(Compilers, Sdk, testing::Values("clang-14", "clang-19"),
                         [](const auto& compiler) {
                             std::string name = compiler.param;
                             std::erase(name, '-');
                             return name;
                         });

}  // namespace
}  // namespace ebpf::spec
