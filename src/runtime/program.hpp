// SPDX-License-Identifier: MIT
//
// Installed programs. Code arrives verified and with relocations (code::CodeView); here it is
// placed: machine code in pages of its own that are sealed before anything can call it, an
// interpreter's code decoded by the registered engine.
#pragma once

#include "code/engine.hpp"
#include "platform/memory.hpp"
#include "runtime/map.hpp"
#include "spec/program_info.hpp"

namespace ebpf::runtime {

// Linux's struct bpf_func_info or bpf_line_info, in a row.
struct BtfRecords {
    std::byte* bytes = nullptr;
    u32 count = 0;
};
inline constexpr u32 kFunctionRecord = 8;
inline constexpr u32 kLineRecord = 16;

struct TextOffsets {
    u32* at = nullptr;
    u32 count = 0;
};

// While they are measured (BPF_ENABLE_STATS): runs that were entered from outside, not by a tail
// call, and the time that they took with all that they called.
struct RunStatistics {
    std::atomic<u64> runs{0};
    std::atomic<u64> ns{0};
};

struct Program : Object {
    code::EntryFn entry = nullptr;            // machine code, at code::kProgramEntry; or
    const code::EngineOps* engine = nullptr;  // the engine that runs `prepared`
    void* prepared = nullptr;

    spec::ProgramType type{};
    spec::AttachType attach{};
    spec::Dialect dialect{};
    bool gpl_compatible = false;
    u32 verified_insns = 0;
    u32 stack_bytes = 0;
    u64 loaded_at = 0;  // boot ns

    platform::CodePages pages;
    u32 code_bytes = 0;

    std::byte* insns = nullptr;  // as they were verified, maps by their ids
    u32 insn_count = 0;
    Map** maps = nullptr;  // each with a reference
    u32 map_count = 0;
    Btf* btf = nullptr;  // what its functions and lines are described in, with a reference; or null
    BtfRecords functions;
    BtfRecords lines;
    // Where in machine code which of them begins; with one more function, the last one's end.
    TextOffsets function_offsets;
    TextOffsets line_offsets;
    Table<Map*> bound_maps;   // BPF_PROG_BIND_MAP
    platform::SpinLock lock;  // bound_maps
    mutable RunStatistics statistics;
};

// Enters the program once, without following tail calls.
inline u64 enter(const Program& program, void* context, u64 context_size,
                 code::Invocation& invocation) {
    return program.entry != nullptr
               ? program.entry(context, context_size, &invocation)
               : program.engine->run(program.prepared, context, context_size, &invocation);
}

// Runs the program and those that it tail-calls. The caller has entered an epoch and holds `slot`.
u64 run(Runtime& runtime, const Program& program, void* context, u64 context_size, u32 slot);

// Runs `function` of the program outside of a run of it, as a timer does; the same is asked of the
// caller.
void run_function(Runtime& runtime, const Program& program, u64 function, const u64 args[5],
                  u32 slot);

// Frees what a program consists of; run when nobody can see it any more.
void destroy_program(Program& program);

}  // namespace ebpf::runtime
