// SPDX-License-Identifier: MIT
//
// Map lookup and update, and the load of a program of 130 instructions, by the way they take: in
// the application's own process, through a daemon that is started here, through memory of the
// daemon's maps, and by Linux's bpf(2), which needs root. One run holds all, in processes of their
// own, so that their ratios mean something:
//
//     build/release/bin/bench_service --benchmark_format=json
//
// `vs_kernel` is the time per operation divided by the kernel's for the same one (below 1: faster);
// a mapped read is compared with the kernel's lookup, and a mapped write with its update.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "worker.hpp"

namespace {

using bench::Operation;
using bench::Way;

// A process of ours, ended with its owner.
class Process {
  public:
    explicit Process(pid_t pid) : pid_(pid) {}
    ~Process() {
        kill(pid_, SIGTERM);
        waitpid(pid_, nullptr, 0);
    }
    Process(const Process&) = delete;
    bool runs() const { return waitpid(pid_, nullptr, WNOHANG) == 0; }

  private:
    pid_t pid_;
};

std::unique_ptr<Process> start(const std::vector<std::string>& words, const char* service,
                               int stream) {
    const pid_t pid = fork();
    if (pid == 0) {
        if (service) setenv("EBPF_SERVICE", service, 1);
        if (!service) unsetenv("EBPF_SERVICE");
        if (stream >= 0) {
            dup2(stream, STDIN_FILENO);
            fcntl(stream, F_SETFD, FD_CLOEXEC);
        }
        std::vector<char*> list;
        for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
        list.push_back(nullptr);
        execv(list[0], list.data());
        _exit(127);
    }
    return pid > 0 ? std::make_unique<Process>(pid) : nullptr;
}

struct Worker {
    std::unique_ptr<Process> process;
    int stream = -1;

    bench::Answer ask(const bench::Order& order) const {
        bench::Answer answer{.error = EPIPE};
        if (write(stream, &order, sizeof order) == sizeof order)
            (void)!read(stream, &answer, sizeof answer);
        return answer;
    }
};

std::array<Worker, 3> workers;
// Seconds per operation of the kernel, by operation; 0: not measured.
std::array<double, 5> kernel_seconds{};

std::string name_of(Way way) {
    constexpr const char* kNames[] = {"embedded", "daemon", "kernel"};
    return kNames[static_cast<int>(way)];
}

Operation kernel_counterpart(Operation operation) {
    if (operation == Operation::MappedRead) return Operation::Lookup;
    if (operation == Operation::MappedWrite) return Operation::Update;
    return operation;
}

void run(benchmark::State& state, Way way, Operation operation, int batch) {
    const Worker& worker = workers[static_cast<std::size_t>(way)];
    double sum = 0;
    for ([[maybe_unused]] auto round : state) {
        const bench::Answer answer = worker.ask({operation, batch});
        if (answer.error) {
            const std::string why = way == Way::Kernel && answer.error == EPERM
                                        ? "the kernel's bpf(2) needs root"
                                        : std::strerror(answer.error);
            state.SkipWithError(why.c_str());
            return;
        }
        state.SetIterationTime(answer.seconds);
        sum += answer.seconds;
    }
    const double each = sum / static_cast<double>(state.iterations()) / batch;
    state.counters["ns_per_operation"] = each * 1e9;
    state.SetItemsProcessed(state.iterations() * batch);
    if (way == Way::Kernel) kernel_seconds[static_cast<std::size_t>(operation)] = each;
    const double kernel = kernel_seconds[static_cast<std::size_t>(kernel_counterpart(operation))];
    if (kernel > 0) state.counters["vs_kernel"] = each / kernel;
}

void register_all() {
    struct Row {
        const char* name;
        Operation operation;
        int batch;
        bool daemon_only;
    };
    constexpr Row kRows[] = {{"map_lookup", Operation::Lookup, 1000, false},
                             {"map_update", Operation::Update, 1000, false},
                             {"program_load", Operation::Load, 5, false},
                             {"mapped_read", Operation::MappedRead, 1'000'000, true},
                             {"mapped_write", Operation::MappedWrite, 1'000'000, true}};
    for (const Way way : {Way::Kernel, Way::Embedded, Way::Daemon}) {  // the ratio's base first
        for (const Row& row : kRows) {
            if (row.daemon_only && way == Way::Embedded) continue;
            benchmark::RegisterBenchmark(
                (std::string(row.name) + "/" + name_of(way)).c_str(),
                [way, row](benchmark::State& state) { run(state, way, row.operation, row.batch); })
                ->UseManualTime()
                ->MinTime(0.3)
                ->Unit(benchmark::kMicrosecond);
        }
    }
}

bool serves(const std::string& path) {
    return access(path.c_str(), F_OK) == 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string(argv[1]) == "--worker")
        return bench::serve(static_cast<Way>(std::atoi(argv[2])), STDIN_FILENO, STDIN_FILENO);

    std::signal(SIGPIPE, SIG_IGN);
    const std::string path = "/tmp/bench_service." + std::to_string(getpid()) + ".sock";
    // What the daemon says goes to our errors: our output is the result.
    const auto daemon =
        start({"/bin/sh", "-c",
               std::string("exec ") + BENCH_DAEMON + " --no-live --socket " + path + " >&2"},
              nullptr, -1);
    for (int i = 0; i < 300 && daemon && daemon->runs() && !serves(path); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    for (const Way way : {Way::Embedded, Way::Daemon, Way::Kernel}) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 1;
        Worker& worker = workers[static_cast<std::size_t>(way)];
        worker.stream = pair[0];
        worker.process =
            start({"/proc/self/exe", "--worker", std::to_string(static_cast<int>(way))},
                  way == Way::Daemon ? path.c_str() : nullptr, pair[1]);
        close(pair[1]);
    }
    register_all();
    benchmark::Initialize(&argc, argv);
    benchmark::AddCustomContext("ratio", "vs_kernel: time per operation / that of Linux's bpf(2)");
    benchmark::RunSpecifiedBenchmarks();
    for (Worker& worker : workers) worker = {};
    return 0;
}
