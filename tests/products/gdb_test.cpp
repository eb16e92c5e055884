// SPDX-License-Identifier: MIT
//
// A real debugger sees through compiled code: under gdb, debuggee.cpp stops in a helper that
// compiled code calls, and the stack goes by the program's name to who entered it.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

namespace {

// Nothing of the user's own settings, of the network or of a shell; the leak sanitizer cannot look
// for leaks in a program that is debugged.
std::string gdb(const std::string& arguments) {
    const std::string command =
        "LC_ALL=C EBPF_GDB_JIT=1 DEBUGINFOD_URLS= ASAN_OPTIONS=detect_leaks=0 timeout 300 "
        "gdb -nx -batch -iex 'set startup-with-shell off' -ex 'set width 0' " +
        arguments + " 2>&1 </dev/null";
    FILE* const pipe = popen(command.c_str(), "r");
    if (!pipe) return {};
    std::string out;
    char text[4096];
    for (size_t size = 0; (size = fread(text, 1, sizeof text, pipe)) > 0;) out.append(text, size);
    pclose(pipe);
    return out;
}

// The lines of `text` between the marks that the debugger was told to print.
std::string between(const std::string& text, const std::string& begin, const std::string& end) {
    const size_t from = text.find(begin);
    const size_t to = text.find(end);
    if (from == std::string::npos || to == std::string::npos || to < from) return {};
    return text.substr(from + begin.size(), to - from - begin.size());
}

// Whether the names stand in this order in lines of their own.
testing::AssertionResult frames(const std::string& stack, const std::vector<std::string>& names) {
    size_t at = 0;
    for (const std::string& name : names) {
        at = stack.find(" " + name + " (", at);
        if (at == std::string::npos)
            return testing::AssertionFailure() << "no frame of " << name << " there in\n" << stack;
        at = stack.find('\n', at);
    }
    return testing::AssertionSuccess();
}

TEST(Gdb, SeesThroughCompiledCode) {
    if (gdb("-ex run /bin/true").find("exited normally") == std::string::npos)
        GTEST_SKIP() << "no gdb that may trace a process: " << gdb("-ex run /bin/true");
    const std::string out =
        gdb("-ex 'break stop_in_helper' -ex 'break stop_after_release' -ex run "
            "-ex 'echo <run>\\n' -ex bt -ex 'info address bpf_prog_vm' -ex 'echo </run>\\n' "
            "-ex continue -ex 'echo <entry>\\n' -ex bt -ex 'echo </entry>\\n' "
            "-ex continue -ex 'echo <released>\\n' -ex 'info address bpf_prog_vm' "
            "-ex 'echo </released>\\n' -ex continue " CASEMENT_DEBUGGEE);

    const std::string run = between(out, "<run>\n", "</run>\n");
    EXPECT_TRUE(frames(run, {"stop_in_helper", "bpf_prog_vm", "bpf_prog_vm", "casement_vm_run",
                             "enter_program", "main"}))
        << out;
    EXPECT_NE(run.find("Symbol \"bpf_prog_vm\" is at 0x"), std::string::npos) << out;
    // By the plain entry, whose code is another piece.
    EXPECT_TRUE(frames(between(out, "<entry>\n", "</entry>\n"),
                       {"stop_in_helper", "bpf_prog_vm", "bpf_prog_vm", "bpf_prog_vm_entry",
                        "enter_program", "main"}))
        << out;
    EXPECT_NE(between(out, "<released>\n", "</released>\n").find("No symbol \"bpf_prog_vm\""),
              std::string::npos)
        << out;
    EXPECT_NE(out.find("exited normally"), std::string::npos) << out;
}

}  // namespace
