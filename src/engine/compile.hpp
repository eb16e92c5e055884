// SPDX-License-Identifier: MIT
//
// The trusted service's part of the way: from a program and what it is to run against to proven
// code of one engine. Pure: nothing is installed, no memory is mapped, the result can cross a
// process.
#pragma once

#include <vector>

#include "code/code.hpp"
#include "ir/environment.hpp"
#include "jit/jit.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::engine {

struct CompileOptions {
    code::EngineKind engine = code::EngineKind::Jit;
    jit::Target target = jit::Target::host();
    jit::Options codegen{};  // of the JIT
    verifier::Options verifier{};
    // The caller answers for the program himself: it is not verified, and nothing is assumed about
    // it either. Only for embedders (casement/vm.h); the door never asks for it.
    bool trusted = false;
};

// What is installed. The vectors own what view() points to.
struct CompiledCode {
    code::EngineKind engine{};
    code::Cpu cpu = code::Cpu::None;
    u32 entry = 0;
    u32 stack_bytes = 0;
    u32 map_count = 0;
    u64 program_info_hash = 0;
    std::vector<std::byte> text;
    std::vector<code::Relocation> relocations;
    code::UnwindData unwind{};
    // Of machine code, where what is in the text: offsets of each slot of the program, and of each
    // function and the last one's end.
    std::vector<u32> slot_offset;
    std::vector<u32> function_offset;

    code::CodeView view() const;
};

struct Compiled {
    verifier::Report report;  // verdict Accept and nothing else when `trusted`
    CompiledCode code;        // empty unless accepted
    u64 verify_ns = 0;
    u64 compile_ns = 0;  // lowering included

    bool accepted() const { return report.verdict == verifier::Verdict::Accept; }
};

// Verifies `program`, and when it is accepted lowers and compiles it. A rejection is a result, not
// an error: the report says why. Errors are those of lowering and of the engine (Unsupported names
// what it lacks, CompilationFailed is ours to fix), placed at the program's instruction.
Result<Compiled> compile(const ir::Program& program, const ir::Environment& environment,
                         const CompileOptions& options);

}  // namespace ebpf::engine
