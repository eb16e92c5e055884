// SPDX-License-Identifier: MIT
//
// Another oracle: Linux's own verifier, as root. Generated programs, the corpus' programs, and
// mutants of both are put to both verifiers. Where Linux alone refuses, its reason must be one that
// is no defect of ours: that it followed a value less closely than we do (whether we are right is
// for the run-time oracle to say), or a rule of Linux's that does not protect memory. A broken rule
// (a reference that is not given back, a context field that is not there, a value of the wrong kind
// given to a helper ...) has no place in that list. Nothing is attached or run.
//
// CASEMENT_PROGRAMS=N tries N programs instead of the usual number; CASEMENT_VERBOSE=1 prints each
// disagreement with the end of the kernel's log.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <regex>

#include "../effort.hpp"
#include "fixture.hpp"
#include "oracles/generator.hpp"
#include "oracles/kernel.hpp"
#include "read_object.hpp"

namespace ebpf::verifier::oracle {
namespace {

namespace fs = std::filesystem;

// Why Linux may refuse what we accept, by what its log says.
struct Difference {
    const char* message;  // regular expression, anywhere in the last line
    const char* why;
};
constexpr Difference kDifferences[] = {
    // Values: Linux does not follow `end - begin`, values in memory that a variable offset may have
    // written, x compared with itself, ... Such a branch is dead for us, or a bound known.
    {"offset is outside of the packet", "value"},
    {"unbounded m(in|ax) value is not allowed", "value"},
    {"is not a known constant", "value"},
    {"invalid mem access 'scalar'", "value"},
    {"!read_ok", "value"},
    {"invalid read from stack", "value"},
    {"infinite loop detected", "value"},
    {"program is too large|too many (jumps|instructions)|jumps is too complex|back-edge", "budget"},
    {"combined stack size", "frames of their own"},
    // Linux's sanity checks; RFC 9669 says what each computes.
    {"div by zero", "defined"},
    {"invalid shift", "defined"},
    {"misaligned (stack|packet|value|access)", "unaligned access is defined"},
    {"unreachable insn", "dead code"},
    {"verifier bug", "Linux's own defect"},
    // A pointer used as a number, which is then no pointer any more. Only where the caller may see
    // addresses.
    {"bitwise operator .* on pointer prohibited", "number"},
    {"pointer arithmetic with .* operator prohibited", "number"},
    {"pointer arithmetic on pkt_end prohibited", "number"},
    {"32-bit pointer arithmetic prohibited", "number"},
    {"invalid size of register (fill|spill)", "number"},
};

// The program without what no path reaches, which Linux refuses before it looks at anything.
ir::Program reachable(const ir::Program& p) {
    std::vector<bool> seen(p.insns.size());
    std::vector<u32> work{0};
    while (!work.empty()) {
        u32 i = work.back();
        work.pop_back();
        for (bool next = true; next && i < p.insns.size() && !seen[i]; ++i) {
            seen[i] = true;
            if (p.target[i] != ir::kNoTarget) work.push_back(p.target[i]);
            next = p.insns[i].form != isa::Form::Exit && p.insns[i].form != isa::Form::Ja;
        }
    }
    ir::Program kept = p;
    std::vector<u32> moved(p.insns.size() + 1);
    kept.insns.clear();
    kept.target.clear();
    kept.slot_of = {0};
    for (u32 i = 0; i < p.insns.size(); ++i) {
        moved[i] = static_cast<u32>(kept.insns.size());
        if (!seen[i]) continue;
        kept.insns.push_back(p.insns[i]);
        kept.target.push_back(p.target[i]);
        kept.slot_of.push_back(kept.slot_of.back() + static_cast<u32>(p.insns[i].slots()));
    }
    for (u32& t : kept.target)
        if (t != ir::kNoTarget) t = moved[t];
    // Displacements follow from the targets when it is encoded.
    const auto bytes = ir::encode_program(kept);
    auto out = bytes ? ir::decode_program(*bytes) : fail(Errc::BadFormat, {});
    if (!out) return p;
    out->maps = p.maps;
    out->type = p.type;
    out->license = p.license;
    out->kfuncs = p.kfuncs;
    return *out;
}

const Difference* known(const std::string& reason) {
    for (const Difference& d : kDifferences)
        if (std::regex_search(reason, std::regex(d.message))) return &d;
    return nullptr;
}

bool is_may_goto(const isa::Insn& i) {
    return i.form == isa::Form::MayGoto;
}

// What came of all that were compared.
struct Comparison {
    u64 accepted = 0, rejected = 0;  // by both
    std::map<std::string, u64> ours_only, linux_only;

    void add(const ir::Program& program, const Kernel& kernel, const std::string& name) {
        ir::Environment environment;
        environment.type = spec::program_info(spec::Dialect::Linux, program.type);
        Options options;
        options.max_steps = 100'000;
        const Report ours = analyze(program, environment, options);
        const Answer linux = kernel.load(program);
        if (linux.reason == kNoInstruction) return;
        const bool accept = ours.verdict == Verdict::Accept;
        if (accept == linux.accepted) {
            ++(accept ? accepted : rejected);
        } else if (accept) {
            const Difference* d = known(linux.reason);
            ++ours_only[d != nullptr ? d->message : linux.reason];
            EXPECT_NE(d, nullptr) << name << ": Linux: " << linux.reason << "\n" << tail(linux.log);
            note(name, linux.reason, tail(linux.log));
        } else {
            ++linux_only[outcome(ours)];
            note(name, explain(ours), "");
        }
    }

    void print(const char* what) const {
        std::printf("%s: accepted by both %llu, rejected by both %llu\n", what,
                    static_cast<unsigned long long>(accepted),
                    static_cast<unsigned long long>(rejected));
        for (const auto& [why, n] : ours_only)
            std::printf("  Linux alone rejects %4llu: %s\n", static_cast<unsigned long long>(n),
                        why.c_str());
        for (const auto& [why, n] : linux_only)
            std::printf("  we alone reject     %4llu: %s\n", static_cast<unsigned long long>(n),
                        why.c_str());
    }

  private:
    static std::string tail(const std::string& log) {
        return log.size() > 3000 ? log.substr(log.size() - 3000) : log;
    }
    static void note(const std::string& name, const std::string& why, const std::string& log) {
        if (std::getenv("CASEMENT_VERBOSE") == nullptr) return;
        std::printf("%s: %s\n%s\n", name.c_str(), why.c_str(), log.c_str());
    }
};

TEST(KernelOracle, GeneratedProgramsAndMutants) {
    // Linux wants type information for locks and timers; the generator uses neither.
    std::vector<ir::MapDef> maps = test_maps();
    const Kernel kernel(maps);
    if (!kernel.there()) GTEST_SKIP() << "bpf(2) is not permitted here: " << std::strerror(errno);
    Comparison all;
    for (u64 seed = 1; seed <= tries(150); ++seed) {
        for (u64 mutant = 0; mutant < 4; ++mutant) {
            ir::Program p = generate(seed);
            if (mutant != 0) p = mutate(p, seed * 31 + mutant);
            // Linux follows may_goto's rounds until its budget ends, which takes a second: a few.
            if (seed % 16 != 0 && std::ranges::any_of(p.insns, is_may_goto)) continue;
            p.type = spec::ProgramType::Xdp;
            all.add(reachable(p), kernel,
                    "seed " + std::to_string(seed) + " mutant " + std::to_string(mutant));
        }
    }
    all.print("generated programs and mutants");
    EXPECT_GT(all.accepted, 0u);
    EXPECT_GT(all.rejected, 0u);
}

TEST(KernelOracle, MutantsOfTheCorpus) {
    const char* shared = std::getenv("CASEMENT_SHARED");
    const fs::path corpus = fs::path(shared != nullptr ? shared : "../shared") / "corpus";
    if (!fs::exists(corpus)) GTEST_SKIP() << "no corpus at " << corpus;
    if (!Kernel({}).there()) GTEST_SKIP() << "bpf(2) is not permitted: " << std::strerror(errno);
    Comparison all;
    u64 at = 0;
    for (const auto& file : fs::recursive_directory_iterator(corpus)) {
        if (file.path().extension() != ".o") continue;
        engine::ReadOptions options;
        options.default_type = spec::ProgramType::SchedCls;
        const engine::Object object = read_object(file.path(), options);
        const Kernel kernel(object.maps);
        for (const engine::ObjectProgram& entry : object.programs) {
            if (!entry.program || at++ % 5 != 0) continue;
            // What Linux does not accept here (other kernels' functions, no type information) says
            // nothing when it is changed.
            if (!kernel.load(*entry.program).accepted) continue;
            for (u64 mutant = 1; mutant <= tries(2); ++mutant) {
                all.add(
                    reachable(mutate(*entry.program, mutant * 77 + entry.program->insns.size())),
                    kernel, file.path().string() + " " + entry.name + " " + std::to_string(mutant));
            }
        }
    }
    all.print("mutants of the corpus");
    EXPECT_GT(all.rejected, 0u);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
