// SPDX-License-Identifier: MIT
//
// How fast programs run: interpreter, a plain switch over raw instructions, JIT at both its levels
// and with every access checked, and the same C source compiled for this machine (by clang -O2, and
// by the same without vectorisation, "scalar"), in one run, so that the ratios printed at the end
// compare like with like. Also how long compiling takes.
//
//     bench_engines --benchmark_out=result.json --benchmark_out_format=json --ratios=ratios.json
//
// On a machine that does other things too, let the runs take turns:
// --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true; the table takes each one's
// best.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/bpf_program.hpp"
#include "code/bounds.hpp"
#include "interpreter/interpreter.hpp"
#include "ir/program.hpp"
#include "jit/jit.hpp"
#include "plain_switch.hpp"
#include "platform/memory.hpp"

namespace {

using namespace ebpf;

using bench::die;
using bench::kInputBytes;
using bench::read_program;
using bench::value_or_die;

alignas(16) std::byte input[kInputBytes];

using Native = u64 (*)(const void* data, u64 size);
#define DECLARE(name)                                         \
    extern "C" u64 name##_native(const void* data, u64 size); \
    extern "C" u64 name##_scalar(const void* data, u64 size);
#define COMPUTE DECLARE
#define BYTES DECLARE
#include "bench/programs/programs.def"
#undef COMPUTE
#undef BYTES

// One program in all its forms.
class Program {
  public:
    Program(std::string name, Native with_vectors, Native without_vectors, bool byte_loop)
        : name_(std::move(name)),
          native_(with_vectors),
          scalar_(without_vectors),
          byte_loop_(byte_loop) {
        slots_ = read_program(name_);
        ir_ = value_or_die(name_, ir::decode_program(slots_));
        prepare_interpreter();
        jit_ = place({});
        optimised_ = place({.level = jit::Level::Optimise});
        checked_ = place({.checked = true});
        const u64 expected = native_(input, kInputBytes);
        if (interpret() != expected || jit() != expected || optimised() != expected ||
            checked() != expected || scalar() != expected || plain() != expected) {
            die(name_, {Errc::Failed, {}, "the engines disagree with the native program"});
        }
    }

    const std::string& name() const { return name_; }
    bool is_byte_loop() const { return byte_loop_; }
    const ir::Program& ir() const { return ir_; }
    u64 native() const { return native_(input, kInputBytes); }
    u64 scalar() const { return scalar_(input, kInputBytes); }
    u64 interpret() const {
        code::Invocation invocation;
        return interpreter::kEngine.run(prepared_.data(), input, kInputBytes, &invocation);
    }
    u64 plain() const {
        return bench::plain_switch(reinterpret_cast<const isa::Slot*>(slots_.data()), input,
                                   kInputBytes);
    }
    u64 jit() const { return jit_.run(); }
    u64 optimised() const { return optimised_.run(); }
    u64 checked() const {
        const code::Range whole{reinterpret_cast<u64>(input), kInputBytes, true};
        code::Bounds bounds{.window = code::window_of(whole), .memory = whole};
        return checked_.run(&bounds);
    }

  private:
    struct alignas(16) Block {
        std::byte bytes[16];
    };

    void prepare_interpreter() {
        const code::EngineOps& ops = interpreter::kEngine;
        const code::CodeView view{.engine = code::EngineKind::Interpreter, .text = slots_};
        prepared_.resize((value_or_die(name_, ops.prepared_size(view)) + 15) / 16);
        const auto memory = std::as_writable_bytes(std::span(prepared_));
        if (const Status status = ops.prepare(view, {}, memory); !status)
            die(name_, status.error());
    }

    struct Placed {
        std::unique_ptr<platform::CodePages> pages;
        code::EntryFn entry = nullptr;

        u64 run(code::Bounds* bounds = nullptr) const {
            code::Invocation invocation{.bounds = bounds};
            return entry(input, kInputBytes, &invocation);
        }
    };

    Placed place(const jit::Options& options) const {
        const auto output =
            value_or_die(name_, jit::compile(ir_, {}, jit::Target::host(), options));
        Placed placed;
        placed.pages = std::make_unique<platform::CodePages>(
            value_or_die(name_, platform::CodePages::create(output.text.size())));
        std::copy(output.text.begin(), output.text.end(), placed.pages->writable().begin());
        if (const Status status = placed.pages->seal(); !status) die(name_, status.error());
        const auto* text = static_cast<const std::byte*>(placed.pages->address());
        placed.entry = reinterpret_cast<code::EntryFn>(const_cast<std::byte*>(text) + output.entry);
        return placed;
    }

    std::string name_;
    Native native_;
    Native scalar_;
    bool byte_loop_;
    std::vector<std::byte> slots_;
    ir::Program ir_;
    std::vector<Block> prepared_;
    Placed jit_, optimised_, checked_;
};

template <typename Run>
void add(const Program& program, const char* engine, Run run) {
    benchmark::RegisterBenchmark((program.name() + "/" + engine).c_str(),
                                 [=](benchmark::State& state) {
                                     for (auto _ : state) benchmark::DoNotOptimize(run());
                                 });
}

void add_compile(const Program& program, const char* name, jit::Level level) {
    const auto compile = [&program, level](benchmark::State& state) {
        const jit::Target target = jit::Target::host();
        for (auto _ : state)
            benchmark::DoNotOptimize(jit::compile(program.ir(), {}, target, {.level = level}));
        const double insns = static_cast<double>(program.ir().insns.size());
        state.counters["insns"] = insns;
        state.counters["per_insn"] = benchmark::Counter(
            insns, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    };
    benchmark::RegisterBenchmark((program.name() + "/" + name).c_str(), compile);
}

// Prints as usual, and keeps the times for the table.
class Reporter : public benchmark::ConsoleReporter {
  public:
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
            const std::string name = run.benchmark_name();
            double& best = times_[name];
            const double time = run.GetAdjustedCPUTime();
            if (best == 0 || time < best) best = time;
        }
        ConsoleReporter::ReportRuns(runs);
    }

    // A table for people, and the same as JSON into `json` if that is open.
    void print_ratios(const std::vector<std::unique_ptr<Program>>& programs,
                      std::ofstream& json) const {
        std::printf("\n%-10s %10s %11s %11s %11s %11s %13s %15s\n", "program", "native ns",
                    "JIT/native", "JIT/scalar", "opt./scalar", "checked/JIT", "interp/native",
                    "switch/interp");
        Sums compute, bytes;
        for (const auto& program : programs) {
            const double native = time(program->name() + "/native");
            const double interpreter = time(program->name() + "/interpreter");
            const double jit = time(program->name() + "/jit");
            const double scalar = time(program->name() + "/scalar");
            const double ratios[kRatios] = {jit / native,
                                            jit / scalar,
                                            time(program->name() + "/optimised") / scalar,
                                            time(program->name() + "/checked") / jit,
                                            interpreter / native,
                                            time(program->name() + "/switch") / interpreter};
            print_line(program->name(), native, ratios, json);
            if (std::isfinite(ratios[1])) (program->is_byte_loop() ? bytes : compute).add(ratios);
        }
        compute.print("geomean of the compute programs", json);
        bytes.print("geomean of the byte loops", json);
    }

  private:
    static constexpr int kRatios = 6;

    static void print_line(const std::string& name, double native, const double (&ratios)[kRatios],
                           std::ofstream& json) {
        std::printf("%-10s %10.1f %11.2f %11.2f %11.2f %11.2f %13.1f %15.2f\n", name.c_str(),
                    native, ratios[0], ratios[1], ratios[2], ratios[3], ratios[4], ratios[5]);
        if (!json.is_open()) return;
        json << "{\"program\": \"" << name << "\", \"jit_to_native\": " << ratios[0]
             << ", \"jit_to_scalar\": " << ratios[1] << ", \"optimised_to_scalar\": " << ratios[2]
             << ", \"checked_to_jit\": " << ratios[3]
             << ", \"interpreter_to_native\": " << ratios[4]
             << ", \"switch_to_interpreter\": " << ratios[5] << "}\n";
    }

    // Of logarithms, for geometric means.
    struct Sums {
        double logs[kRatios] = {};
        int count = 0;

        void add(const double (&ratios)[kRatios]) {
            for (int i = 0; i < kRatios; ++i) logs[i] += std::log(ratios[i]);
            ++count;
        }
        void print(const char* what, std::ofstream& json) const {
            if (count == 0) return;
            double means[kRatios];
            for (int i = 0; i < kRatios; ++i) means[i] = std::exp(logs[i] / count);
            std::printf("%s (%d):\n", what, count);
            print_line(what, 0, means, json);
        }
    };

    double time(const std::string& name) const {
        const auto found = times_.find(name);
        return found == times_.end() ? 0 : found->second;
    }

    std::map<std::string, double> times_;
};

}  // namespace

int main(int argc, char** argv) {
    std::mt19937 random(1);
    for (std::byte& b : input) b = static_cast<std::byte>(random());

    benchmark::Initialize(&argc, argv);
    std::ofstream json;
    constexpr std::string_view kRatiosFlag = "--ratios=";
    if (argc > 1 && std::string_view(argv[argc - 1]).starts_with(kRatiosFlag)) {
        json.open(argv[--argc] + kRatiosFlag.size());
    }
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    std::vector<std::unique_ptr<Program>> programs;
#define MAKE(name, byte_loop) \
    programs.push_back(std::make_unique<Program>(#name, name##_native, name##_scalar, byte_loop));
#define COMPUTE(name) MAKE(name, false)
#define BYTES(name) MAKE(name, true)
#include "bench/programs/programs.def"
#undef COMPUTE
#undef BYTES
    for (const auto& owner : programs) {
        const Program& program = *owner;
        add(program, "native", [&program] { return program.native(); });
        add(program, "scalar", [&program] { return program.scalar(); });
        add(program, "jit", [&program] { return program.jit(); });
        add(program, "optimised", [&program] { return program.optimised(); });
        add(program, "checked", [&program] { return program.checked(); });
        add(program, "interpreter", [&program] { return program.interpret(); });
        add(program, "switch", [&program] { return program.plain(); });
        add_compile(program, "compile", jit::Level::Default);
        add_compile(program, "compile_optimised", jit::Level::Optimise);
    }
    Reporter reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
    reporter.print_ratios(programs, json);
    return 0;
}
