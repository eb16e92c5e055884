// SPDX-License-Identifier: MIT
//
// usage: robustness [--cases N] [--only N] FOLDER_OR_OBJECT...
//
// Damages each object in many ways and sends the result through everything that an untrusted file
// meets: read_object, verify, lower, compile for both engines. Nothing is run. Every case must end
// with a result or an error that says something, within ten seconds and a bounded amount of memory.
// The sound objects go first and must be readable. A case that breaks this is named by its object
// and number; `--only N` repeats it alone.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/sanitized.hpp"
#include "code/code.hpp"
#include "damage.hpp"
#include "engine/compile.hpp"
#include "engine/environment.hpp"
#include "engine/object.hpp"

using namespace ebpf;

namespace {

constexpr unsigned kSecondsPerCase = 10;
[[maybe_unused]] constexpr rlim_t kMemory = rlim_t{2} << 30;

struct Counts {
    unsigned long unreadable = 0, unlinked = 0, unsupported = 0, rejected = 0, exhausted = 0,
                  accepted = 0, uncompiled = 0;
};

char current_case[512];  // what the signal handler prints

extern "C" void report_case(int signal) {
    const char* text = signal == SIGALRM ? "took too long: " : "crashed: ";
    [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text, std::strlen(text));
    written = write(STDERR_FILENO, current_case, std::strlen(current_case));
    written = write(STDERR_FILENO, "\n", 1);
    _exit(1);
}

[[noreturn]] void broken(const char* promise) {
    std::fprintf(stderr, "%s: %s\n", promise, current_case);
    std::exit(1);
}

void compile_program(const ir::Program& program, Counts& counts) {
    const Result<ir::Environment> environment = engine::environment_of(program);
    if (!environment) {
        ++counts.unsupported;
        return;
    }
    for (const code::EngineKind kind : {code::EngineKind::Jit, code::EngineKind::Interpreter}) {
        engine::CompileOptions options;
        options.engine = kind;
        // Enough to analyse the sound programs; a damaged one that loops is given up on soon.
        options.verifier.max_steps = 100'000;
        options.verifier.max_memory = u64{64} << 20;
        const Result<engine::Compiled> compiled = engine::compile(program, *environment, options);
        if (!compiled) {
            ++counts.uncompiled;
            continue;
        }
        const verifier::Report& report = compiled->report;
        switch (report.verdict) {
            case verifier::Verdict::Accept:
                ++counts.accepted;
                if (!code::validate(compiled->code.view())) broken("code does not validate");
                continue;
            case verifier::Verdict::Unsupported:
                ++counts.unsupported;
                break;
            case verifier::Verdict::Exhausted:
                ++counts.exhausted;
                break;
            case verifier::Verdict::Reject:
                ++counts.rejected;
                break;
        }
        if (report.diagnostics.empty() || report.diagnostics[0].message.empty())
            broken("no reason given");
        return;  // the other engine would hear the same
    }
}

// Whether the object could be read.
bool run(const std::vector<std::byte>& bytes, spec::Dialect dialect, Counts& counts) {
    const Result<engine::Object> object = engine::read_object(
        bytes, {.name = "damaged.o", .dialect = dialect, .default_type = spec::ProgramType::Xdp});
    if (!object) {
        ++counts.unreadable;
        if (engine::describe(object.error(), bytes).empty()) broken("an error without a text");
        return false;
    }
    for (const engine::ObjectProgram& listed : object->programs) {
        if (listed.program) {
            compile_program(*listed.program, counts);
        } else {
            ++counts.unlinked;
            if (listed.message.empty()) broken("an error without a text");
        }
    }
    return true;
}

std::vector<std::filesystem::path> objects_in(const std::vector<std::string>& places) {
    std::vector<std::filesystem::path> found;
    for (const std::string& place : places) {
        if (!std::filesystem::is_directory(place)) {
            found.emplace_back(place);
            continue;
        }
        for (const auto& entry : std::filesystem::recursive_directory_iterator(place)) {
            if (entry.is_regular_file()) found.push_back(entry.path());
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

void run_case(const std::filesystem::path& path, const std::vector<std::byte>& sound,
              unsigned long number, Counts& counts) {
    const robustness::Damaged damaged = robustness::damage(sound, number);
    std::snprintf(current_case, sizeof current_case, "%s --only %lu (%s)", path.c_str(), number,
                  damaged.what.c_str());
    alarm(kSecondsPerCase);
    run(damaged.bytes, number % 4 == 0 ? spec::Dialect::Windows : spec::Dialect::Linux, counts);
    alarm(0);
}

void limit_resources() {
    const rlimit memory{kMemory, kMemory};
    // A sanitizer's shadow memory is terabytes of addresses; it has a limit of its own.
    if (!kSanitized) setrlimit(RLIMIT_AS, &memory);
    for (const int signal : {SIGALRM, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL})
        std::signal(signal, report_case);
}

}  // namespace

int main(int argc, char** argv) {
    unsigned long cases = 1000;
    std::optional<unsigned long> only;
    std::vector<std::string> places;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--cases" && i + 1 < argc) {
            cases = std::strtoul(argv[++i], nullptr, 10);
        } else if (argument == "--only" && i + 1 < argc) {
            only = std::strtoul(argv[++i], nullptr, 10);
        } else {
            places.push_back(argument);
        }
    }
    limit_resources();

    const std::vector<std::filesystem::path> objects = objects_in(places);
    if (objects.empty()) {
        std::puts("SKIPPED: no objects: no clang for BPF");
        return 77;
    }
    Counts sound_counts, counts;
    for (const std::filesystem::path& path : objects) {
        std::ifstream in(path, std::ios::binary);
        const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
        const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
        const std::vector<std::byte> sound(bytes, bytes + text.size());
        std::snprintf(current_case, sizeof current_case, "%s (sound)", path.c_str());
        alarm(kSecondsPerCase);
        if (!run(sound, spec::Dialect::Linux, sound_counts) &&
            !run(sound, spec::Dialect::Windows, sound_counts))
            broken("a sound object is not readable");
        if (only) {
            run_case(path, sound, *only, counts);
            continue;
        }
        for (unsigned long n = 0; n < cases / objects.size() + 1; ++n)
            run_case(path, sound, n, counts);
    }
    std::printf("%zu objects; sound: %lu accepted, %lu rejected, %lu unsupported\n", objects.size(),
                sound_counts.accepted, sound_counts.rejected, sound_counts.unsupported);
    std::printf(
        "damaged: %lu not readable; of the programs in the others %lu not linkable, "
        "%lu unsupported, %lu rejected, %lu given up, %lu accepted, %lu not compilable\n",
        counts.unreadable, counts.unlinked, counts.unsupported, counts.rejected, counts.exhausted,
        counts.accepted, counts.uncompiled);
    // Damage that never gets past the reader, or never harms, would test nothing.
    return !only && (counts.rejected == 0 || counts.accepted == 0 || counts.unreadable == 0) ? 1
                                                                                             : 0;
}
