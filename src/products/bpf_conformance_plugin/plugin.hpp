// SPDX-License-Identifier: MIT
//
// bpf_conformance's plugin: one program and one memory per process, r0 on standard output. The
// parts that main() puts together.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "code/engine.hpp"
#include "jit/jit.hpp"

namespace ebpf::plugin {

enum class EngineChoice : u8 { Default, Interpreter, Jit, Native };

struct Options {
    EngineChoice engine = EngineChoice::Default;
    jit::Level level = jit::Level::Default;
    bool elf = false;  // the program is an ELF object: section .text, function main
    std::optional<std::string> program;  // in hex; absent: on standard input
    std::string memory;                  // in hex; may be empty
};

// `MEM` comes first and may be absent; empty arguments are skipped. Throws std::invalid_argument.
Options parse_arguments(int argc, char** argv);

// Bytes of two hex digits, blanks between them or not. Throws std::invalid_argument.
std::vector<std::byte> parse_hex(const std::string& text);

// The slots of an object's program: `main` in `.text`. Unsupported when it has relocations.
Result<std::vector<std::byte>> program_of_object(Bytes object);

// The helper that bpf_conformance's or uBPF's tests call by `number`, or nullptr.
code::HelperFn helper(u32 number);
// Answers kCustomHelper | number with helper(number).
code::Resolver helper_resolver();
// Set when helper 5 ended the program although a subprogram called it.
bool unwound_in_subprogram();

// Each runs `slots` with r1 = memory (null when empty) and r2 = its size.
Result<u64> run_interpreter(Bytes slots, MutableBytes memory);
bool has_jit();
Result<u64> run_jit(Bytes slots, MutableBytes memory, jit::Level level);

}  // namespace ebpf::plugin
