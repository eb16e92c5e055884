// SPDX-License-Identifier: MIT
//
// What the verifier costs as programs grow: nanoseconds of CPU time per instruction at 1,000 to
// 8,000 instructions for each family of generators.hpp, with what 8,000 cost relative to 1,000
// (goal: at most 1.5), abstract steps and bytes of states per instruction (goal: at most 5 KiB).
// For the families of bounds the columns are microseconds of the whole, and the ratio is that of
// the largest to the smallest bound.
//
//   bench_verifier [--benchmark_format=json] [FAMILY]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

#include "bench/verifier/generators.hpp"
#include "spec/program_types.hpp"
#include "verifier/render.hpp"
#include "verifier/verifier.hpp"

namespace {

using namespace ebpf;

constexpr u32 kSizes[] = {1000, 2000, 4000, 8000};
constexpr std::size_t kSizeCount = std::size(kSizes);
constexpr double kMaxRatio = 1.5;
constexpr double kMaxBytes = 5 << 10;
constexpr double kMaxCountdownUsec = 5000;
constexpr double kEnough = 0.1;  // seconds of CPU time for one figure

double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Cost {
    std::string verdict = "no program";
    double seconds = 0, steps = 0, bytes = 0, insns = 1;
};

// The least of several runs, since what disturbs only adds.
Cost cost_of(const std::string& text) {
    const auto program = bench::assemble(text);
    Cost cost;
    if (!program) return cost;
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    const double begin = cpu_seconds();
    double last = begin;
    cost.seconds = 1e9;
    for (int run = 0; run < 3 || (run < 200 && last - begin < kEnough); ++run) {
        const verifier::Report report = verifier::analyze(*program, environment, {});
        const double now = cpu_seconds();
        cost.seconds = std::min(cost.seconds, now - last);
        last = now;
        cost.verdict = verifier::name(report.verdict);
        cost.steps = static_cast<double>(report.steps);
        cost.bytes = static_cast<double>(report.peak_bytes);
    }
    cost.insns = static_cast<double>(program->insns.size());
    return cost;
}

struct Line {
    const bench::Family* family;
    Cost costs[kSizeCount];
    double unit(std::size_t i) const { return family->size_is_bound ? 1 : costs[i].insns; }
    double time(std::size_t i) const { return costs[i].seconds / unit(i); }
    double ratio() const { return time(kSizeCount - 1) / time(0); }
    double bytes() const { return costs[kSizeCount - 1].bytes / costs[kSizeCount - 1].insns; }
    bool good() const {
        return std::ranges::all_of(costs, [](const Cost& c) { return c.verdict == "accept"; }) &&
               ratio() <= kMaxRatio && (family->size_is_bound || bytes() <= kMaxBytes);
    }
};

void print_table_head() {
    std::printf("%-13s", "family");
    for (const u32 size : kSizes) std::printf(" %9u", size);
    std::printf("  %-9s %6s %11s %11s\n", "", "ratio", "steps/insn", "bytes/insn");
}

void print(const Line& line) {
    const bool bound = line.family->size_is_bound;
    const Cost& largest = line.costs[kSizeCount - 1];
    std::printf("%-13s", line.family->name);
    for (std::size_t i = 0; i < kSizeCount; ++i)
        std::printf(" %9.1f", line.time(i) * (bound ? 1e6 : 1e9));
    std::printf("  %-9s %6.2f %11.1f %11.0f  %s\n", bound ? "us" : "ns/insn", line.ratio(),
                largest.steps / largest.insns, line.bytes(),
                line.good() ? "" : ("MISSED: " + largest.verdict).c_str());
    std::fflush(stdout);
}

void print_json(const Line& line, bool first) {
    const bool bound = line.family->size_is_bound;
    for (std::size_t i = 0; i < kSizeCount; ++i) {
        std::printf(
            "%s\n    {\"name\": \"%s/%u\", \"cpu_time\": %.1f, \"time_unit\": \"ns\", "
            "\"per\": \"%s\", \"ratio_to_1000\": %.3f, \"steps\": %.0f, \"peak_bytes\": "
            "%.0f, \"verdict\": \"%s\"}",
            first && i == 0 ? "" : ",", line.family->name, kSizes[i], line.time(i) * 1e9,
            bound ? "program" : "instruction", line.time(i) / line.time(0), line.costs[i].steps,
            line.costs[i].bytes, line.costs[i].verdict.c_str());
    }
}

}  // namespace

int main(int argc, char** argv) {
    bool json = false;
    std::string_view only;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--benchmark_format=json") {
            json = true;
        } else if (!argument.starts_with("--")) {
            only = argument;
        }
    }
    if (json) {
        std::printf("{\"benchmarks\": [");
    } else {
        std::printf("build/release/bin/bench_verifier; CPU time, the least of several runs\n");
        std::printf("goals: ratio at most %.1f, bytes per instruction at most %.0f\n\n", kMaxRatio,
                    kMaxBytes);
        print_table_head();
    }
    bool first = true, good = true;
    for (const bench::Family& family : bench::families()) {
        if (!only.empty() && std::string_view(family.name).find(only) == std::string_view::npos)
            continue;
        Line line{&family, {}};
        for (std::size_t i = 0; i < kSizeCount; ++i)
            line.costs[i] = cost_of(family.text(kSizes[i]));
        json ? print_json(line, first) : print(line);
        good &= line.good();
        first = false;
    }
    const Cost countdown = cost_of(bench::countdown_text());
    const double usec = countdown.seconds * 1e6;
    good &= countdown.verdict == "accept" && usec <= kMaxCountdownUsec;
    if (json) {
        std::printf(
            "%s\n    {\"name\": \"countdown\", \"cpu_time\": %.1f, \"time_unit\": \"ns\", "
            "\"verdict\": \"%s\"}\n]}\n",
            first ? "" : ",", usec * 1e3, countdown.verdict.c_str());
    } else {
        std::printf(
            "\ncountdown: the 9 instructions that count 1,000 down: %s in %.1f us (goal: at "
            "most %.0f)\n",
            countdown.verdict.c_str(), usec, kMaxCountdownUsec);
    }
    return good ? 0 : 1;
}
