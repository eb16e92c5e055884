// SPDX-License-Identifier: MIT
#include "jit/jit.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "jit/a64/compiler.hpp"
#include "jit/optimise/optimise.hpp"
#include "jit/thunk.hpp"
#include "jit/x64/compiler.hpp"
#include "jit/x64/spare.hpp"

namespace ebpf::jit {

namespace {

#if defined(__x86_64__)

// CPUID leaf 7, ebx bit 8.
bool host_has_bmi2() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 8 & 1) != 0;
}

Target host_target() {
    // Among the systems that we know, the one with Windows' convention is the one with a 32-bit
    // long.
    constexpr bool kWindows = sizeof(long) == 4;
    return {.cpu = code::Cpu::X86_64,
            .convention = kWindows ? CallingConvention::WindowsX64 : CallingConvention::SystemV,
            .unwind = kWindows ? UnwindFormat::Windows : UnwindFormat::Dwarf,
            .bmi2 = host_has_bmi2()};
}

#else

Target host_target() {
    return {.cpu = code::Cpu::AArch64,
            .convention = CallingConvention::Aapcs64,
            .unwind = UnwindFormat::Dwarf};
}

#endif

}  // namespace

Target Target::host() {
    return host_target();
}

code::CodeView Output::view(u64 program_info_hash) const {
    return {.engine = code::EngineKind::Jit,
            .cpu = cpu,
            .entry = entry,
            .stack_bytes = stack_bytes,
            .map_count = map_count,
            .program_info_hash = program_info_hash,
            .text = text,
            .relocations = relocations,
            .unwind = unwind};
}

namespace {

Status check(const Target& target, const Options& options) {
    const bool arm = target.cpu == code::Cpu::AArch64;
    if (!arm && target.cpu != code::Cpu::X86_64) {
        return fail(Errc::Unsupported, {}, "machine code for CPU", static_cast<u64>(target.cpu));
    }
    if ((target.convention == CallingConvention::Aapcs64) != arm) {
        return fail(Errc::InvalidArgument, {}, "a calling convention of another CPU");
    }
    if (arm && options.safe_indirect_calls)
        return fail(Errc::Unsupported, {}, "safe indirect calls on AArch64");
    if (arm && target.unwind == UnwindFormat::Windows)
        return fail(Errc::Unsupported, {}, "Windows' unwind data on AArch64");
    return {};
}

Result<Output> generate(const ir::Program& program, const ir::Facts& proven, const Target& target,
                        const Options& options, u32 registers) {
    TRY(check(target, options));
    const ir::Facts nothing;
    const ir::Facts& facts = options.checked ? nothing : proven;  // nobody proved it
    TRY_ASSIGN(const Analysis analysis, analyze(program, facts, registers));
    if (target.cpu == code::Cpu::AArch64)
        return a64::Compiler(program, facts, target, options, analysis).run();
    return x64::Compiler(program, facts, target, options, analysis).run();
}

}  // namespace

Result<Optimised> optimise_for(const ir::Program& program, const ir::Facts& facts,
                               const Target& target, const Options& options, PassSet which) {
    TRY(analyze(program, facts));  // as given, it names BPF's registers only
    const auto spare = [&](const ir::Program& now, const Analysis& analysis) {
        return target.cpu == code::Cpu::AArch64
                   ? a64::spare_registers(analysis)
                   : x64::spare_registers(now, analysis, target, options);
    };
    return optimise(program, facts, spare, options, which);
}

Result<Output> compile(const Optimised& code, const Target& target, const Options& options) {
    return generate(code.program, code.facts, target, options, kRegisters);
}

Result<Output> compile(const ir::Program& program, const ir::Facts& facts, const Target& target,
                       const Options& options) {
    if (!options.optimises()) return generate(program, facts, target, options, isa::kRegisterCount);
    TRY_ASSIGN(const Optimised code, optimise_for(program, facts, target, options));
    TRY_ASSIGN(Output out, compile(code, target, options));
    out.insn_offset =
        original_offsets(code, out.insn_offset, static_cast<u32>(program.insns.size()));
    return out;
}

Result<Thunk> entry_thunk(const code::Invocation& initial, const void* entry,
                          const Target& target) {
    TRY(check(target, {}));
    if (target.cpu == code::Cpu::AArch64) return a64::entry_thunk(initial, entry, target);
    return x64::entry_thunk(initial, entry, target);
}

}  // namespace ebpf::jit
