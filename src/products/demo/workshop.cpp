// SPDX-License-Identifier: MIT
#include "products/demo/workshop.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace demo {
namespace {

std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

// Runs a command line; its output, and whether it ended with 0.
std::string run(const std::string& command, bool& ok) {
    std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    if (!pipe) throw std::runtime_error("cannot start: " + command);
    std::string output;
    std::array<char, 4096> part;
    while (const size_t n = std::fread(part.data(), 1, part.size(), pipe))
        output.append(part.data(), n);
    ok = pclose(pipe) == 0;
    return output;
}

// The project's folder: above the program (build/PRESET/bin) or above the current directory.
fs::path find_source(const fs::path& programs) {
    for (const fs::path& start : {programs, fs::current_path()}) {
        for (fs::path at = start; at.has_relative_path(); at = at.parent_path()) {
            if (fs::exists(at / "examples/drop_empty_udp/drop_empty_udp.bpf.c")) return at;
        }
    }
    throw std::runtime_error("examples/drop_empty_udp is neither above the program nor above here");
}

void find_clang(Workshop& workshop) {
    const char* chosen = std::getenv("CLANG");
    std::vector<std::string> candidates = {"clang-19", "clang", "clang-18", "clang-17", "clang-14"};
    if (chosen) candidates = {chosen};
    for (const std::string& name : candidates) {
        bool ok = false;
        const std::string output = run(name + " --print-targets", ok);
        if (!ok || output.find("bpf") == std::string::npos) continue;
        workshop.clang = name;
        const std::string version = run(name + " -dumpversion", ok);
        workshop.clang_version = version.substr(0, version.find_first_of("\r\n"));
        return;
    }
    throw std::runtime_error("no clang with a BPF target found (set CLANG, or install clang-19)");
}

}  // namespace

Workshop Workshop::find(const char* argv0) {
    Workshop workshop;
    std::error_code error;
    fs::path self = fs::read_symlink("/proc/self/exe", error);
    if (error) self = fs::absolute(argv0);
    workshop.programs = self.parent_path();
    workshop.source = find_source(workshop.programs);
    workshop.output = workshop.programs.parent_path() / "demo";
    fs::create_directories(workshop.output);
    find_clang(workshop);
    return workshop;
}

fs::path Workshop::compile(const std::string& source_name, double& nanoseconds) const {
    const fs::path input = source / "examples" / source_name;
    const fs::path object = output / input.filename().replace_extension(".o");
    // From the project's folder and with relative names, so that debug information has short ones.
    const std::string command = fmt::format(
        "cd {} && {} -target bpf -O2 -g -Wall -fdebug-compilation-dir=. -I{} {} -c {} -o {}",
        quoted(source.string()), clang, quoted((programs.parent_path() / "sdk/include").string()),
        CASEMENT_UAPI_INCLUDE, quoted("examples/" + source_name), quoted(object.string()));
    bool ok = false;
    const auto start = std::chrono::steady_clock::now();
    const std::string messages = run(command, ok);
    nanoseconds =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    if (!ok) throw std::runtime_error(command + "\n" + messages);
    return object;
}

Traffic make_traffic(const Workshop& workshop, unsigned frames) {
    Traffic traffic{.capture = workshop.output / "traffic.pcap", .frames = {}};
    const fs::path expected = workshop.output / "traffic.csv";
    bool ok = false;
    const std::string messages =
        run(fmt::format("{} {} {} {}", quoted((workshop.programs / "make_traffic").string()),
                        quoted(traffic.capture.string()), quoted(expected.string()), frames),
            ok);
    if (!ok) throw std::runtime_error("make_traffic: " + messages);

    std::ifstream lines(expected);
    for (std::string line; std::getline(lines, line);) {
        unsigned number = 0, protocol = 0;
        char verdict[8] = {};
        if (std::sscanf(line.c_str(), "%u,%u,%7[a-z]", &number, &protocol, verdict) != 3) {
            throw std::runtime_error("unexpected line in " + expected.string() + ": " + line);
        }
        traffic.frames.push_back({protocol, std::string_view(verdict) == "drop"});
    }
    if (traffic.frames.size() != frames) throw std::runtime_error("the capture is not complete");
    return traffic;
}

}  // namespace demo
