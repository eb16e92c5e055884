// SPDX-License-Identifier: MIT
//
//     bpf_conformance_plugin [MEM] [--jit | --interpret | --native] [--level default|optimise]
//                            [--elf] [--program HEX]
//
// The protocol of bpf_conformance (and of uBPF's fuzzer, which passes --program): the program is on
// standard input as bytes in hex, MEM likewise in the first argument; r0 goes to standard output in
// hex. What fails says why on standard error and exits with 1 (usage: 2).
//
// Programs are not verified. The interpreter ends those that do not end; nothing keeps them from
// touching memory that is not theirs, so run this as its own process, as bpf_conformance does.
#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <stdexcept>

#include "plugin.hpp"

namespace ebpf::plugin {
namespace {

Result<u64> run(const Options& options) {
    const std::string text =
        options.program.value_or(std::string(std::istreambuf_iterator<char>(std::cin), {}));
    std::vector<std::byte> program = parse_hex(text);
    if (options.elf) {
        TRY_ASSIGN(program, program_of_object(program));
    }
    std::vector<std::byte> memory = parse_hex(options.memory);
    switch (options.engine) {
        case EngineChoice::Native:
            return fail(Errc::Unsupported, {}, "native images in this plugin");
        case EngineChoice::Interpreter:
            return run_interpreter(program, memory);
        case EngineChoice::Jit:
            return run_jit(program, memory, options.level);
        case EngineChoice::Default:
            break;
    }
    return has_jit() ? run_jit(program, memory, options.level) : run_interpreter(program, memory);
}

int report(const Result<u64>& r0) {
    if (!r0) {
        char why[256];
        render(r0.error(), why);
        std::fprintf(stderr, "%s\n", why);
        return 1;
    }
    std::printf("%" PRIx64 "\n", *r0);
    return 0;
}

}  // namespace
}  // namespace ebpf::plugin

int main(int argc, char** argv) {
    using namespace ebpf::plugin;
    try {
        return report(run(parse_arguments(argc, argv)));
    } catch (const std::invalid_argument& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 2;
    }
}
