// SPDX-License-Identifier: MIT
//
// How many instructions the machine code for AArch64 executes, at both levels, beside what clang
// makes of the same C source for that CPU (-O2 without vectorisation). Counted by an emulator, so
// exact, and the same on a busy machine: a run of a program is what two runs take more than one.
//
//     bench_a64 [PROGRAM ...]
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <span>

#include "bench/bpf_program.hpp"
#include "ir/program.hpp"
#include "jit/jit.hpp"

namespace {

using namespace ebpf;
using bench::die;
using bench::value_or_die;

std::byte input[bench::kInputBytes];

struct Request {  // runner.c
    u64 native = ~u64{0};
    u64 times = 1;
    u64 code_bytes = 0, entry = 0;
};

struct Run {
    u64 result = 0;
    u64 instructions = 0;
};

std::string read_all(int fd) {
    std::string text;
    char buffer[256];
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    close(fd);
    return text;
}

// A run of the runner under the emulator. The input is small enough for a pipe, or is read as it is
// written, since nothing comes back before its end.
Run emulate(const Request& request, Bytes code) {
    int in[2], out[2], counted[2];
    if (pipe(in) != 0 || pipe(out) != 0 || pipe(counted) != 0) die("pipe", {Errc::Failed});
    const pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(counted[1], 2);
        for (const int fd : {in[0], in[1], out[0], out[1], counted[0], counted[1]}) close(fd);
        execl(QEMU_AARCH64, "qemu-aarch64", "-plugin", COUNT_PLUGIN, A64_RUNNER, nullptr);
        _exit(127);
    }
    for (const int fd : {in[0], out[1], counted[1]}) close(fd);
    std::string bytes(reinterpret_cast<const char*>(&request), sizeof request);
    bytes.append(reinterpret_cast<const char*>(input), sizeof input);
    bytes.append(reinterpret_cast<const char*>(code.data()), code.size());
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t n = write(in[1], bytes.data() + at, bytes.size() - at);
        if (n <= 0) die(A64_RUNNER, {Errc::Failed, {}, "does not read"});
        at += static_cast<std::size_t>(n);
    }
    close(in[1]);
    const std::string result = read_all(out[0]);
    const std::string count = read_all(counted[0]);
    int status = 0;
    waitpid(child, &status, 0);
    Run run{.instructions = std::strtoull(count.c_str(), nullptr, 10)};
    if (status != 0 || result.size() != sizeof run.result || run.instructions == 0)
        die(QEMU_AARCH64, {Errc::Failed, {}, "the emulated program failed"});
    std::memcpy(&run.result, result.data(), sizeof run.result);
    return run;
}

Run measure(Request request, Bytes code = {}) {
    request.code_bytes = code.size();
    const Run once = emulate(request, code);
    request.times = 2;
    const Run twice = emulate(request, code);
    return {once.result, twice.instructions - once.instructions};
}

Run measure_jit(const std::string& name, const ir::Program& program, jit::Level level) {
    constexpr jit::Target kTarget{.cpu = code::Cpu::AArch64,
                                  .convention = jit::CallingConvention::Aapcs64};
    const auto output = value_or_die(name, jit::compile(program, {}, kTarget, {.level = level}));
    return measure({.entry = output.entry}, output.text);
}

struct Entry {
    const char* name;
    bool byte_loop;
};
constexpr Entry kPrograms[] = {
#define COMPUTE(name) {#name, false},
#define BYTES(name) {#name, true},
#include "bench/programs/programs.def"
#undef COMPUTE
#undef BYTES
};

struct Mean {
    double logs[2] = {};
    int count = 0;

    void add(const double (&ratios)[2]) {
        for (int i = 0; i < 2; ++i) logs[i] += std::log(ratios[i]);
        ++count;
    }
    void print(const char* what) const {
        if (count == 0) return;
        std::printf("geometric mean of %d %s: %.3f, %.3f\n", count, what, std::exp(logs[0] / count),
                    std::exp(logs[1] / count));
    }
};

}  // namespace

int main(int argc, char** argv) {
    std::mt19937 random(1);  // the input of bench_engines
    for (std::byte& b : input) b = static_cast<std::byte>(random());
    const std::span wanted(argv + 1, static_cast<std::size_t>(argc - 1));
    std::printf("%-10s %10s %10s %10s %12s %12s\n", "program", "clang", "default", "optimised",
                "def./clang", "opt./clang");
    Mean compute, bytes;
    for (u64 i = 0; i < std::size(kPrograms); ++i) {
        const std::string name = kPrograms[i].name;
        if (!wanted.empty() && std::ranges::find(wanted, name) == wanted.end()) continue;
        const auto slots = bench::read_program(name);
        const ir::Program program = value_or_die(name, ir::decode_program(slots));
        const Run clang = measure({.native = i});
        const Run ours[] = {measure_jit(name, program, jit::Level::Default),
                            measure_jit(name, program, jit::Level::Optimise)};
        if (ours[0].result != clang.result || ours[1].result != clang.result)
            die(name, {Errc::Failed, {}, "the engines disagree with the native program"});
        const double native = static_cast<double>(clang.instructions);
        const double ratios[] = {static_cast<double>(ours[0].instructions) / native,
                                 static_cast<double>(ours[1].instructions) / native};
        std::printf("%-10s %10llu %10llu %10llu %12.3f %12.3f\n", name.c_str(),
                    static_cast<unsigned long long>(clang.instructions),
                    static_cast<unsigned long long>(ours[0].instructions),
                    static_cast<unsigned long long>(ours[1].instructions), ratios[0], ratios[1]);
        (kPrograms[i].byte_loop ? bytes : compute).add(ratios);
    }
    compute.print("compute programs");
    bytes.print("byte loops");
    return 0;
}
