// SPDX-License-Identifier: MIT
#include "products/bpfverify/verify.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <string_view>

#include "engine/environment.hpp"
#include "engine/object.hpp"
#include "engine/report_text.hpp"
#include "engine/types_file.hpp"
#include "platform/file_content.hpp"
#include "products/bpfverify/dump.hpp"
#include "spec/program_types.hpp"
#include "verifier/render.hpp"

namespace ebpf::bpfverify {
namespace {

constexpr size_t kMaxFile = size_t{512} << 20;
constexpr int kAllAccepted = 0, kNotAccepted = 1, kUnreadable = 2;
constexpr u32 kDumpedVisits = 16;  // of each instruction: loops would fill disks

// Microseconds of CPU time of this process.
double cpu_usec() {
    return 1e6 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// All names of program types, of any dialect, and the types.
std::map<std::string_view, spec::ProgramType> named_types() {
    std::map<std::string_view, spec::ProgramType> types;
    for (int i = 1; i < spec::kProgramTypeCount; ++i) {
        const auto type = static_cast<spec::ProgramType>(i);
        for (const char* name : spec::info(type).name) {
            if (name) types.emplace(name, type);
        }
    }
    return types;
}

std::optional<spec::ProgramType> type_named(const std::string& name) {
    const auto types = named_types();
    const auto found = types.find(name);
    return found == types.end() ? std::nullopt : std::optional(found->second);
}

// The verdict of an error outside the verifier: what this version lacks is not the program's fault.
Outcome::Verdict verdict_of(const Error& error) {
    return error.code == Errc::Unsupported || error.code == Errc::NotSupported
               ? Outcome::Verdict::Unsupported
               : Outcome::Verdict::Error;
}

Outcome::Verdict verdict_of(verifier::Verdict verdict) {
    switch (verdict) {
        case verifier::Verdict::Accept:
            return Outcome::Verdict::Accept;
        case verifier::Verdict::Unsupported:
            return Outcome::Verdict::Unsupported;
        case verifier::Verdict::Reject:
        case verifier::Verdict::Exhausted:
            break;
    }
    return Outcome::Verdict::Reject;
}

void set_error(Outcome& outcome, const Error& error, std::string text) {
    outcome.verdict = verdict_of(error);
    outcome.error = error;
    outcome.error_text = std::move(text);
}

// What the engines make of an accepted program. That they cannot compile it does not change the
// verdict.
void show_code(const Options& options, const ir::Environment& environment, Outcome& outcome) {
    if (!options.dump_lowered && !options.dump_machine_code && !options.dump_code) return;
    const ir::Program& program = outcome.program;
    const ir::Facts& facts = outcome.report.facts;
    const jit::Target target = jit::Target::host();
    const auto text =
        options.dump_lowered ? dump_lowered(program, facts, environment)
        : options.dump_code
            ? dump_code(program, facts, environment, target, options.optimise, options.width)
            : dump_machine_code(program, facts, environment, target, options.optimise);
    outcome.states = text ? *text : engine::error_text(&outcome.program, text.error()) + "\n";
}

Outcome verify(const Options& options, const engine::ObjectProgram& program,
               const btf::Types* kernel_types) {
    Outcome outcome;
    if (program.program) outcome.program = *program.program;
    outcome.program.name = program.name;
    outcome.program.section = program.section;
    if (!program.program) {
        set_error(outcome, program.program.error(), program.message);
        return outcome;
    }
    if (!options.type.empty()) outcome.program.type = *type_named(options.type);
    const auto environment = engine::environment_of(outcome.program, kernel_types);
    if (!environment) {
        set_error(outcome, environment.error(),
                  engine::error_text(&outcome.program, environment.error()));
        return outcome;
    }
    const double start = cpu_usec();
    outcome.report = verifier::analyze(outcome.program, *environment, {});
    outcome.usec = static_cast<u64>(cpu_usec() - start);
    outcome.peak_kib = (outcome.report.peak_bytes + 1023) / 1024;
    outcome.verdict = verdict_of(outcome.report.verdict);
    if (options.dump_states)
        outcome.states = verifier::dump_states(outcome.program, *environment, {}, kDumpedVisits);
    if (options.dump_cfg) outcome.states = verifier::dump_cfg(outcome.program);
    if (options.dump_dot) outcome.states = verifier::dump_cfg_dot(outcome.program);
    if (outcome.verdict == Outcome::Verdict::Accept) show_code(options, *environment, outcome);
    return outcome;
}

u64 instructions(const engine::Object& object) {
    u64 sum = 0;
    for (const auto& program : object.programs) {
        if (program.program) sum += program.program->insns.size();
    }
    return sum;
}

int unreadable(const std::string& file, const std::string& why) {
    fmt::print(stderr, "bpfverify: {}: {}\n", file, why);
    return kUnreadable;
}

}  // namespace

int run(const Options& options) {
    const auto type = options.type.empty() ? std::nullopt : type_named(options.type);
    if (!options.type.empty() && !type) {
        return unreadable(options.file,
                          fmt::format("no such program type: {}; there are {}", options.type,
                                      fmt::join(std::views::keys(named_types()), ", ")));
    }
    const auto file = platform::FileContent::open(options.file.c_str(), kMaxFile);
    if (!file) return unreadable(options.file, std::strerror(file.error()));

    std::shared_ptr<const btf::Types> kernel_types;
    if (!options.kernel_types.empty()) {
        const auto content = platform::FileContent::open(options.kernel_types.c_str(), kMaxFile);
        if (!content) return unreadable(options.kernel_types, std::strerror(content.error()));
        const auto parsed = engine::read_types(content->bytes());
        if (!parsed)
            return unreadable(options.kernel_types, engine::error_text(nullptr, parsed.error()));
        kernel_types = *parsed;
    }

    const double start = cpu_usec();
    engine::ReadOptions read{
        .name = options.file, .dialect = options.dialect, .default_type = type};
    read.unknown_kconfig = true;
    read.target = kernel_types.get();
    read.section = options.section;
    read.program = options.program;
    const auto object = engine::read_object(file->bytes(), read);
    if (!object) return unreadable(options.file, engine::describe(object.error(), file->bytes()));
    // Decoding was for all programs together; each has its share by instructions.
    const double decode_usec = cpu_usec() - start;
    const u64 all = std::max<u64>(instructions(*object), 1);

    if (!options.json) {
        for (const std::string& warning : object->warnings)
            fmt::print(stderr, "warning: {}\n", warning);
    }
    int status = kAllAccepted;
    int count = 0;
    for (const engine::ObjectProgram& program : object->programs) {
        if (!read.wants(program.section, program.name)) continue;
        Outcome outcome = verify(options, program, kernel_types.get());
        outcome.usec +=
            static_cast<u64>(decode_usec * static_cast<double>(outcome.program.insns.size()) /
                             static_cast<double>(all));
        const std::string text =
            options.json ? to_json(options, outcome) + "\n" : to_text(options, outcome);
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);  // a line is there as soon as its program is done
        if (outcome.verdict != Outcome::Verdict::Accept) status = kNotAccepted;
        ++count;
    }
    if (count == 0) return unreadable(options.file, "no such program in the object");
    return status;
}

}  // namespace ebpf::bpfverify
