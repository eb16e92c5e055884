// SPDX-License-Identifier: MIT
//
// The public corpus with its expectations: no program labelled `reject` is accepted, and as many as
// are recorded here of those that a reference accepts. Prints the rates per project, and with
// CASEMENT_VERBOSE=1 every disagreement.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "read_object.hpp"
#include "spec/program_types.hpp"
#include "verifier/render.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::verifier {
namespace {

namespace fs = std::filesystem;

constexpr u64 kMaxPeak = u64{26} << 20;  // bytes of states
constexpr u64 kMaxPeakPerInsn = 5 << 10;

struct Row {
    std::string file, section, program, expected, accepted_by;
};

fs::path corpus() {
    const char* shared = std::getenv("CASEMENT_SHARED");
    return fs::path(shared != nullptr ? shared : "../shared") / "corpus";
}

std::vector<Row> read_expectations() {
    std::vector<Row> rows;
    std::ifstream in(corpus() / "expectations.csv");
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
        std::istringstream fields(line);
        std::string f[6];
        for (std::string& field : f) std::getline(fields, field, ',');
        rows.push_back({f[0], f[1], f[2], f[4], f[5]});
    }
    return rows;
}

struct Outcome {
    std::string verdict, detail;
    u64 usec = 0, steps = 0, peak = 0;
    std::size_t insns = 0;
};

Outcome verify(const engine::ObjectProgram* program) {
    if (program == nullptr) return {"error", "no such program", 0, 0, 0, 0};
    if (!program->program) return {"error", program->message, 0, 0, 0, 0};
    const ir::Program& p = *program->program;
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, p.type);
    if (environment.type == nullptr) return {"error", "no program type", 0, 0, 0, 0};
    const std::clock_t begin = std::clock();  // CPU time: other work may share the machine
    const Report report = analyze(p, environment, {});
    Outcome o;
    o.usec = static_cast<u64>(std::clock() - begin) * 1'000'000 / CLOCKS_PER_SEC;
    o.verdict = name(report.verdict);
    o.steps = report.steps;
    o.peak = report.peak_bytes;
    o.insns = p.insns.size();
    if (!report.diagnostics.empty()) {
        const Diagnostic& d = report.diagnostics[0];
        o.detail = std::string(name(d.code)) + " at " + std::to_string(d.insn) + ": " + d.message;
        for (const std::string& n : d.notes) o.detail += " | " + n;
    }
    return o;
}

TEST(Corpus, Expectations) {
    if (!fs::exists(corpus() / "expectations.csv")) GTEST_SKIP() << "no corpus at " << corpus();
    const bool verbose = std::getenv("CASEMENT_VERBOSE") != nullptr;
    const char* only = std::getenv("CASEMENT_ONLY");
    std::map<std::string, engine::Object> objects;
    std::map<std::string, std::map<std::string, int>> table;
    u64 usec = 0, accepted = 0, wanted = 0, peak = 0;
    for (const Row& row : read_expectations()) {
        if (only != nullptr && row.file.find(only) == std::string::npos) continue;
        if (!objects.contains(row.file))
            objects.emplace(row.file, read_corpus_object(corpus() / row.file));
        const Outcome o = verify(objects.at(row.file).find(row.section, row.program));
        usec += o.usec;
        peak = std::max(peak, o.peak);
        EXPECT_LE(o.peak, kMaxPeakPerInsn * o.insns)
            << row.file << " " << row.program << ": bytes of states";
        const std::string project = row.file.substr(0, row.file.find('/'));
        ++table[project][row.expected + "->" + o.verdict];
        if (row.expected == "accept") {
            ++wanted;
            accepted += o.verdict == "accept";
        }
        if (row.expected == "reject") {
            EXPECT_NE(o.verdict, "accept") << row.file << " " << row.section << " " << row.program;
        }
        if (verbose && (row.expected != o.verdict || o.usec > 200'000)) {
            std::printf("%-9s %-11s [%s] %s %s %s (%zu insns, %llu steps, %llu us, %llu KiB) %s\n",
                        row.expected.c_str(), o.verdict.c_str(), row.accepted_by.c_str(),
                        row.file.c_str(), row.section.c_str(), row.program.c_str(), o.insns,
                        static_cast<unsigned long long>(o.steps),
                        static_cast<unsigned long long>(o.usec),
                        static_cast<unsigned long long>(o.peak >> 10), o.detail.c_str());
            std::fflush(stdout);
        }
    }
    for (const auto& [project, cells] : table) {
        std::printf("%-18s", project.c_str());
        for (const auto& [what, n] : cells) std::printf("  %s %d", what.c_str(), n);
        std::printf("\n");
    }
    EXPECT_LE(peak, kMaxPeak);
    if (only == nullptr) {
        EXPECT_GE(accepted, 262u);
    }
    std::printf("accepted %llu of %llu, %llu ms, peak %llu KiB\n",
                static_cast<unsigned long long>(accepted), static_cast<unsigned long long>(wanted),
                static_cast<unsigned long long>(usec / 1000),
                static_cast<unsigned long long>(peak >> 10));
}

}  // namespace
}  // namespace ebpf::verifier
