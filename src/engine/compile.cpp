// SPDX-License-Identifier: MIT
#include "engine/compile.hpp"

#include <algorithm>
#include <chrono>

#include "interpreter/interpreter.hpp"
#include "ir/lower.hpp"

namespace ebpf::engine {
namespace {

class Stopwatch {
  public:
    u64 lap() {
        const auto now = std::chrono::steady_clock::now();
        const auto passed = now - start_;
        start_ = now;
        return static_cast<u64>(std::chrono::nanoseconds(passed).count());
    }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Of both slots of a wide instruction: the same.
std::vector<u32> by_slot(const ir::Program& program, const std::vector<u32>& insn_offset) {
    std::vector<u32> offsets(program.slot_of.back());
    for (u32 i = 0; i < insn_offset.size(); ++i)
        std::fill(offsets.begin() + program.slot_of[i], offsets.begin() + program.slot_of[i + 1],
                  insn_offset[i]);
    return offsets;
}

Result<CompiledCode> machine_code(const ir::Program& lowered, const ir::Facts& facts,
                                  const CompileOptions& options) {
    TRY_ASSIGN(jit::Output output, jit::compile(lowered, facts, options.target, options.codegen));
    return CompiledCode{.engine = code::EngineKind::Jit,
                        .cpu = output.cpu,
                        .entry = output.entry,
                        .stack_bytes = output.stack_bytes,
                        .map_count = output.map_count,
                        .text = std::move(output.text),
                        .relocations = std::move(output.relocations),
                        .unwind = output.unwind,
                        .slot_offset = by_slot(lowered, output.insn_offset),
                        .function_offset = std::move(output.function_offset)};
}

Result<CompiledCode> interpreted_code(const ir::Program& lowered) {
    CompiledCode out{.engine = code::EngineKind::Interpreter,
                     .map_count = static_cast<u32>(lowered.maps.size())};
    TRY_ASSIGN(out.text, ir::encode_program(lowered));
    TRY_ASSIGN(const u32 count, interpreter::relocations_of(out.text, {}));
    out.relocations.resize(count);
    TRY(interpreter::relocations_of(out.text, out.relocations));
    return out;
}

Result<CompiledCode> code_for(const ir::Program& lowered, const ir::Facts& facts,
                              const CompileOptions& options) {
    switch (options.engine) {
        case code::EngineKind::Jit:
            return machine_code(lowered, facts, options);
        case code::EngineKind::Interpreter:
            return interpreted_code(lowered);
        case code::EngineKind::Native:
            break;
    }
    return fail(Errc::Unsupported, {}, "native images at load time");
}

}  // namespace

code::CodeView CompiledCode::view() const {
    return {.engine = engine,
            .cpu = cpu,
            .entry = entry,
            .stack_bytes = stack_bytes,
            .map_count = map_count,
            .program_info_hash = program_info_hash,
            .text = text,
            .relocations = relocations,
            .unwind = unwind};
}

Result<Compiled> compile(const ir::Program& program, const ir::Environment& environment,
                         const CompileOptions& options) {
    Compiled out;
    Stopwatch watch;

    // The proof is about the program as its author's compiler wrote it, so that what the report
    // says is about his lines and his context's fields.
    if (options.trusted) {
        out.report.verdict = verifier::Verdict::Accept;
    } else {
        out.report = verifier::analyze(program, environment, options.verifier);
    }
    out.verify_ns = watch.lap();
    if (!out.accepted()) return out;

    // Lowering replaces what depends on the dialect (context fields, helper numbers), once, and
    // carries the facts of the proof along; the engines see canonical programs only.
    TRY_ASSIGN(ir::Lowered lowered, ir::lower(program, out.report.facts, environment));
    TRY_ASSIGN(out.code, code_for(lowered.program, lowered.facts, options));
    out.code.program_info_hash = environment.type->hash;
    out.compile_ns = watch.lap();
    return out;
}

}  // namespace ebpf::engine
