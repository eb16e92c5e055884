// SPDX-License-Identifier: MIT
//
// bpf_conformance_plugin as bpf_conformance runs it: a process, hex in, hex out.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "isa/text/text.hpp"

namespace ebpf::engines {
namespace {

std::string hex(Bytes bytes, const char* separator = "  ") {
    std::string out;
    char digits[4];
    for (const std::byte b : bytes) {
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(b));
        out += std::string(digits) + separator;
    }
    return out;
}

struct Outcome {
    int status = 0;
    std::string output;  // standard output and error together
};

// `arguments` as a shell would see them; `input` goes to standard input.
Outcome run_plugin(const std::string& arguments, const std::string& input) {
    const std::string file = testing::TempDir() + "plugin_input_" + std::to_string(::getpid());
    std::ofstream(file) << input;
    FILE* const pipe =
        popen((std::string(PLUGIN) + " " + arguments + " <" + file + " 2>&1").c_str(), "r");
    Outcome outcome;
    char buffer[256];
    while (fgets(buffer, sizeof buffer, pipe) != nullptr) outcome.output += buffer;
    outcome.status = WEXITSTATUS(pclose(pipe));
    std::remove(file.c_str());
    return outcome;
}

std::string program(std::string_view text) {
    return hex(*isa::text::assemble(text, isa::text::Dialect::Conformance)) + "\n";
}

TEST(Plugin, PrintsR0InHex) {
    for (const char* engine : {"--interpret", "--jit", "--jit --level optimise", ""}) {
        const Outcome o = run_plugin(engine, program("lddw %r0, 0x8000000000000002\nexit"));
        EXPECT_EQ(o.output, "8000000000000002\n");
        EXPECT_EQ(o.status, 0);
    }
}

TEST(Plugin, MemoryIsTheFirstArgument) {
    const std::string text = program("ldxb %r0, [%r1+3]\nlsh %r0, 8\nor %r0, %r2\nexit");
    EXPECT_EQ(run_plugin("'00  00  00  ab  ' --interpret", text).output, "ab04\n");
    EXPECT_EQ(run_plugin("'000000ab' --interpret ''", text).output, "ab04\n");
    EXPECT_EQ(run_plugin("'' --interpret", program("mov %r0, %r1\nor %r0, %r2\nexit")).output,
              "0\n");
}

TEST(Plugin, TheJitRunsTheSame) {
    const std::string text =
        program("ldxb %r1, [%r1+3]\nmov %r2, 5\nmov %r3, 6\nmov %r4, 7\nmov %r5, 8\ncall 0\nexit");
    const std::string expected = run_plugin("'00 00 00 ab' --interpret", text).output;
    EXPECT_EQ(run_plugin("'00 00 00 ab' --jit", text).output, expected);
    EXPECT_EQ(
        run_plugin("--jit", program("mov %r1, -1\nmov %r2, 5\ncall %r2\nmov %r0, 2\nexit")).output,
        "2\n");
    EXPECT_EQ(run_plugin("--jit", program("mov %r1, 0\ncall 5\nmov %r0, 2\nexit")).status, 1);
    EXPECT_EQ(run_plugin("--jit", "ff 00 00 00 00 00 00 00").status, 1);
    EXPECT_EQ(run_plugin("'00 00 00 ab' --jit --level optimise", text).output, expected);
    EXPECT_EQ(run_plugin("--jit --level best", text).status, 2);
    EXPECT_EQ(run_plugin("--jit --level", text).status, 2);
}

TEST(Plugin, ProgramAsAnOption) {
    const std::string bytes =
        hex(*isa::text::assemble("r0 = r2\nexit", isa::text::Dialect::Llvm), " ");
    EXPECT_EQ(run_plugin("'01 02 03' --interpret --program '" + bytes + "'", "").output, "3\n");
}

TEST(Plugin, Helpers) {
    EXPECT_EQ(
        run_plugin("--interpret", program("mov %r1, -1\nmov %r2, 5\ncall %r2\nmov %r0, 2\nexit"))
            .output,
        "2\n");
    EXPECT_EQ(run_plugin("--interpret", program("mov %r1, 0\ncall 5\nmov %r0, 2\nexit")).output,
              "0\n");
    EXPECT_EQ(run_plugin("--interpret",
                         program("mov %r1, 1\nmov %r2, 2\nmov %r3, 3\nmov %r4, 4\nmov %r5, 5\n"
                                 "call 0\nexit"))
                  .output,
              "102030405\n");
    EXPECT_EQ(run_plugin("--interpret", program("mov %r1, 144\ncall 3\nexit")).output, "c\n");
}

TEST(Plugin, FailuresExitWithOneAndSayWhy) {
    const auto fails = [](const std::string& text, const char* message) {
        const Outcome o = run_plugin("--interpret", text);
        EXPECT_EQ(o.status, 1);
        EXPECT_EQ(o.output, std::string(message) + "\n");
    };
    fails("ff 00 00 00 00 00 00 00\n", "unknown instruction: opcode (255 = 0xff) at instruction 0");
    fails(program("call 77\nexit"), "unresolved symbol: helper (77 = 0x4d)");
    fails(program("mov %r0, 0"), "malformed data: control runs off the end at instruction 0");
    fails("", "an offset or index points outside its table: entry at offset 0");
    EXPECT_EQ(run_plugin("--native", program("exit")).status, 1);
}

TEST(Plugin, UsageErrorsExitWithTwo) {
    EXPECT_EQ(run_plugin("--bogus", program("exit")).status, 2);
    EXPECT_EQ(run_plugin("--interpret --program", "").status, 2);
    EXPECT_EQ(run_plugin("--interpret", "zz").status, 2);
    EXPECT_EQ(run_plugin("'0' --interpret", program("exit")).status, 2);
}

TEST(Plugin, Objects) {
    if (std::system("command -v clang-19 >/dev/null 2>&1") != 0)
        GTEST_SKIP() << "clang-19 is not installed";
    const std::string base = testing::TempDir() + "plugin_object_" + std::to_string(::getpid());
    std::ofstream(base + ".c")
        << "unsigned long main(unsigned char *p, unsigned long n) { return p[1] + n; }\n";
    ASSERT_EQ(std::system(
                  ("clang-19 -w -ffreestanding -O2 -target bpf -c " + base + ".c -o " + base + ".o")
                      .c_str()),
              0);
    std::ifstream file(base + ".o", std::ios::binary);
    const std::string raw(std::istreambuf_iterator<char>(file), {});
    const std::string text = hex(std::as_bytes(std::span(raw))) + "\n";
    EXPECT_EQ(run_plugin("'01 20 03' --interpret --elf", text).output, "23\n");
    EXPECT_EQ(run_plugin("--interpret --elf", "7f 45 4c 46\n").status, 1);
    std::remove((base + ".c").c_str());
    std::remove((base + ".o").c_str());
}

}  // namespace
}  // namespace ebpf::engines
