// SPDX-License-Identifier: MIT
// From a verified, lowered program to machine code. Pure: maps no memory, keeps no state.
#pragma once

#include <vector>

#include "code/code.hpp"
#include "ir/facts.hpp"
#include "ir/program.hpp"

namespace ebpf::jit {

enum class CallingConvention : u8 { SystemV, WindowsX64, Aapcs64 };
enum class UnwindFormat : u8 { None, Windows };

// What the code is for; data, so that any host compiles for any other.
struct Target {
    code::Cpu cpu = code::Cpu::X86_64;
    CallingConvention convention = CallingConvention::SystemV;
    UnwindFormat unwind = UnwindFormat::None;
    bool bmi2 = false;  // x86-64: shlx, rorx and friends may be used

    static Target host();  // the machine and system that this is built for
};

struct Output {
    code::Cpu cpu{};
    u32 entry = 0;
    u32 stack_bytes = 0;
    u32 map_count = 0;
    std::vector<std::byte> text;
    std::vector<code::Relocation> relocations;
    std::vector<u32> insn_offset;  // text offset of each instruction, for disassembly and profiles

    code::CodeView view(u64 program_info_hash) const;
};

// Compiles `program` (all maps as WideKind::MapIndex*, helper numbers canonical after ir::lower).
// `facts` may be empty: then nothing is assumed. Errors name the instruction; a form that the
// target cannot compile is Errc::Unsupported, never a wrong translation.
Result<Output> compile(const ir::Program& program, const ir::Facts& facts, const Target& target);

}  // namespace ebpf::jit
