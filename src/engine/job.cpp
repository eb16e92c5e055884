// SPDX-License-Identifier: MIT
#include "engine/job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "engine/environment.hpp"
#include "engine/program_btf.hpp"
#include "engine/report_text.hpp"
#include "verifier/render.hpp"

namespace ebpf::engine {
namespace {

using isa::WideKind;

std::unexpected<Error> rejected(const verifier::Report& report) {
    switch (report.verdict) {
        case verifier::Verdict::Unsupported:
            return fail(Errc::Unsupported, {}, "see the log");
        case verifier::Verdict::Exhausted:
            return fail(Errc::TooLarge, {}, "work of the verifier");
        case verifier::Verdict::Accept:
        case verifier::Verdict::Reject:
            break;
    }
    return fail(Errc::VerificationFailed);
}

// The last lines of every log, in Linux's words: tools read the numbers out of this text.
std::string statistics(const Compiled& compiled, const ir::Program& program, u32 level) {
    std::string text;
    if (level & kLogStats) {
        std::vector<u32> stack = compiled.report.facts.stack_used;
        stack.resize(program.subprograms.size());
        text = fmt::format("verification time {} usec\nstack depth {}\n", compiled.verify_ns / 1000,
                           fmt::join(stack, "+"));
    }
    const verifier::Work& work = compiled.report.work;
    text += fmt::format(
        "processed {} insns (limit {}) max_states_per_insn {} total_states {} peak_states {} "
        "mark_read 0\n",
        compiled.report.steps, verifier::Options{}.max_steps, work.most_at_one_insn, work.states,
        work.peak_states);
    if ((level & kLogStats) && compiled.accepted()) {
        text += fmt::format(
            "peak memory of states {} KiB\ncompilation time {} usec\n"
            "code size {} bytes for {} insns\n",
            compiled.report.peak_bytes / 1024, compiled.compile_ns / 1000,
            compiled.code.text.size(), program.insns.size());
    }
    return text;
}

// What Linux logs: at level 1 the way to an error, at level 2 every path of accepted programs too,
// the error and the numbers always. Between the way and Linux's words stand ours, which say more;
// tools take the last line before the numbers for the error.
std::string log_of(const Compiled& compiled, const ir::Program& program,
                   const ir::Environment& environment, const CompileJob& job) {
    std::string text;
    const bool verbose = (job.log_level & kLogVerbose) != 0;
    const bool failed = !compiled.accepted();
    verifier::LinuxText in_linux;
    if (verbose || (failed && job.log_level != 0)) {
        using enum verifier::LogDetail;
        in_linux = verifier::linux_log(program, environment, job.options.verifier,
                                       verbose                      ? All
                                       : job.log_level & kLogReport ? Path
                                                                    : None,
                                       compiled.report);
    }
    text = std::move(in_linux.way);
    if (failed) text += report_text(program, compiled.report, {}) + in_linux.words;
    if (job.log_level != 0) text += statistics(compiled, program, job.log_level);
    return text;
}

Status check_maps(const std::vector<ir::MapDef>& maps) {
    for (u64 i = 0; i < maps.size(); ++i) {
        const ir::MapDef& map = maps[i];
        const auto field_fits = [&map](i32 offset, u32 size) {
            return offset == -1 ||
                   (offset >= 0 && u64{static_cast<u32>(offset)} + size <= map.value_size);
        };
        if (map.inner != ir::MapDef::kNoInner &&
            (map.inner < 0 || static_cast<u64>(map.inner) >= maps.size()))
            return fail(Errc::OutOfBounds, {}, "inner map of a map", i);
        if (!map.initial.empty() && map.initial.size() != map.value_size)
            return fail(Errc::BadFormat, {}, "initial value of a map", i);
        if (!field_fits(map.spin_lock_offset, 4) || !field_fits(map.timer_offset, 16))
            return fail(Errc::OutOfBounds, {}, "special field of a map's value", i);
    }
    return {};
}

Status check_references(const ir::Program& program) {
    for (size_t i = 0; i < program.insns.size(); ++i) {
        const isa::Insn& insn = program.insns[i];
        if (insn.form != isa::Form::Wide) continue;
        const Where here = at_insn(program.slot_of[i]);
        switch (insn.wide()) {
            case WideKind::MapIndex:
            case WideKind::MapIndexValue:
                if (insn.map_index() >= program.maps.size())
                    return fail(Errc::OutOfBounds, here, "map of the instruction",
                                insn.map_index());
                break;
            case WideKind::MapFd:
            case WideKind::MapFdValue:
                return fail(Errc::BadFormat, here, "descriptor that nobody resolved");
            case WideKind::Imm64:
            case WideKind::BtfId:
            case WideKind::Function:
                break;
        }
    }
    return {};
}

// Lines are only shown, but by binary search and by index.
Status check_lines(const ir::Program& program) {
    u32 last = 0;
    for (const ir::SourceLine& line : program.lines) {
        if (line.insn < last || line.insn >= program.insns.size() ||
            line.file >= program.files.size())
            return fail(Errc::BadFormat, {}, "source line of instruction", line.insn);
        last = line.insn;
    }
    return {};
}

CompileOutcome failed(const ir::Program* program, const Error& error) {
    return failed_outcome(error, error_text(program, error) + "\n");
}

CompileOutcome compile_checked(const CompileJob& job) {
    const auto program = program_of(job);
    if (!program) return failed(nullptr, program.error());

    // What the program is verified against: its type's context, helpers and rules, and the caller's
    // privileges. From here on nothing but this and the program decides.
    auto environment = environment_of(*program);
    if (!environment) return failed(&*program, environment.error());
    environment->privileges = job.privileges;

    // Beyond this point the program is either proven safe or not loaded: there is no way around.
    if (job.options.trusted)
        return failed(&*program,
                      fail(Errc::InvalidArgument, {}, "program without a proof").error());
    auto compiled = compile(*program, *environment, job.options);
    if (!compiled) return failed(&*program, compiled.error());

    CompileOutcome out{.verify_ns = compiled->verify_ns,
                       .compile_ns = compiled->compile_ns,
                       .verified_insns = compiled->report.steps};
    out.log = log_of(*compiled, *program, *environment, job);
    if (compiled->accepted()) {
        out.code = std::move(compiled->code);
    } else {
        out.error = rejected(compiled->report).error();
    }
    return out;
}

}  // namespace

CompileOutcome failed_outcome(const Error& error, std::string log) {
    CompileOutcome out;
    out.error = error;
    out.log = std::move(log);
    return out;
}

Result<CompileJob> job_of(const ir::Program& program) {
    CompileJob job{.name = program.name,
                   .section = program.section,
                   .object = program.object,
                   .license = program.license,
                   .dialect = program.dialect,
                   .type = program.type,
                   .attach = program.attach,
                   .slots = {},
                   .maps = program.maps,
                   .kfuncs = program.kfuncs,
                   .missing = program.missing,
                   .subprograms = program.subprograms,
                   .files = program.files,
                   .lines = program.lines};
    TRY_ASSIGN(job.slots, ir::encode_program(program));
    return job;
}

Result<ir::Program> program_of(const CompileJob& job) {
    ir::Program program;
    program.name = job.name;
    program.section = job.section;
    program.object = job.object;
    program.license = job.license;
    program.dialect = job.dialect;
    program.type = job.type;
    program.attach = job.attach;
    TRY(check_maps(job.maps));
    program.maps = job.maps;
    program.kfuncs = job.kfuncs;
    program.missing = job.missing;
    if (!std::ranges::is_sorted(program.missing, {}, &ir::MissingAnswer::insn))
        return fail(Errc::BadFormat, {}, "order of the missing answers");

    TRY_ASSIGN(program.insns, ir::decode_insns(job.slots));
    program.subprograms = job.subprograms;
    TRY(ir::resolve_control_flow(program));
    TRY(check_references(program));

    program.files = job.files;
    program.lines = job.lines;
    TRY(check_lines(program));
    if (!job.btf.types.empty()) TRY(add_source(program, job.btf));
    return program;
}

CompileOutcome compile_job(const CompileJob& job) {
    try {
        return compile_checked(job);
    } catch (const std::bad_alloc&) {
        return failed_outcome(fail(Errc::NoMemory).error(),
                              "the verifier or the compiler ran out of memory\n");
    }
}

Status check_outcome(const CompileJob& job, const CompileOutcome& outcome) {
    if (outcome.error.code != Errc::Ok) return {};
    const CompiledCode& code = outcome.code;
    if (code.engine != job.options.engine)
        return fail(Errc::Failed, {}, "engine of the code", static_cast<u64>(code.engine));
    const code::Cpu cpu =
        code.engine == code::EngineKind::Jit ? job.options.target.cpu : code::Cpu::None;
    if (code.cpu != cpu)
        return fail(Errc::Failed, {}, "processor of the code", static_cast<u64>(code.cpu));
    if (code.map_count > job.maps.size())
        return fail(Errc::Failed, {}, "maps of the code", code.map_count);
    const bool jit = code.engine == code::EngineKind::Jit;
    if (code.slot_offset.size() != (jit ? job.slots.size() / sizeof(isa::Slot) : 0))
        return fail(Errc::Failed, {}, "places of instructions", code.slot_offset.size());
    return code::validate(code.view());
}

}  // namespace ebpf::engine
