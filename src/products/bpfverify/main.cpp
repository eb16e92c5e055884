// SPDX-License-Identifier: MIT
//
// bpfverify: verifies every entry-point program of an object file and says why a program is not
// accepted. Text for people, one JSON object per program and line for programs (--json; the fields
// are in ARCHITECTURE.md, "What checks rely on"). Exit status: 0 all accepted, 1 one was not, 2 the
// file could not be read.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "products/bpfverify/verify.hpp"

namespace {

using ebpf::bpfverify::Options;

// Characters in a line of the terminal that is written to; 0 if it is none.
ebpf::u32 terminal_width() {
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

Options parse(CLI::App& app, int argc, char** argv) {
    Options options;
    options.width = terminal_width();
    std::string dialect = "auto", dump, level = "default";
    app.add_option("FILE", options.file, "ELF object with BPF programs")->required();
    app.add_option("--dialect", dialect, "whose numbers and contexts the object uses")
        ->check(CLI::IsMember({"auto", "linux", "windows"}))
        ->capture_default_str();
    app.add_option("--section", options.section, "only programs of this section");
    app.add_option("--program", options.program, "only the program of this function name");
    app.add_option("--type", options.type,
                   "verify as this program type, e.g. xdp, whatever the section says");
    app.add_option("--btf", options.kernel_types,
                   "the types of the kernel that the programs are for, raw or in an ELF file, e.g. "
                   "/sys/kernel/btf/vmlinux");
    app.add_option(
           "--dump", dump,
           "show the instructions, the blocks and where they lead (dot: for Graphviz), or the "
           "states that the analysis saw; of accepted programs what the engines get, with what is "
           "proven of it (xlated), this machine's code for it (jited), or the byte code and both, "
           "side by side (code)")
        ->check(CLI::IsMember({"insns", "states", "cfg", "dot", "xlated", "jited", "code"}));
    app.add_option("--width", options.width,
                   "with --dump=code, characters of a line; below 100 the three forms stand below "
                   "each other; as wide as the terminal if not given")
        ->check(CLI::Range(0, 1000));
    app.add_option("--level", level, "with --dump=jited or code, how much is done for fast code")
        ->check(CLI::IsMember({"default", "optimise"}))
        ->capture_default_str();
    app.add_flag("--json", options.json, "one JSON object per program, a line each");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 2);
    }
    if (dialect == "linux") options.dialect = ebpf::spec::Dialect::Linux;
    if (dialect == "windows") options.dialect = ebpf::spec::Dialect::Windows;
    options.dump_instructions = dump == "insns";
    options.dump_states = dump == "states";
    options.dump_cfg = dump == "cfg";
    options.dump_dot = dump == "dot";
    options.dump_lowered = dump == "xlated";
    options.dump_machine_code = dump == "jited";
    options.dump_code = dump == "code";
    options.optimise = level == "optimise";
    options.coloured = isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR");
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Verifies BPF programs."};
    return ebpf::bpfverify::run(parse(app, argc, argv));
}
