// SPDX-License-Identifier: MIT
// What the demo does outside the library: finding its files, compiling C, making the capture.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace demo {

namespace fs = std::filesystem;

struct Workshop {
    fs::path source;    // the project
    fs::path programs;  // where this program lies
    fs::path output;    // objects and the capture, kept for a look at them
    std::string clang;
    std::string clang_version;

    // Throws std::runtime_error with a sentence when something is missing.
    static Workshop find(const char* argv0);

    // Compiles a BPF source below examples/; the object's path. Throws with the compiler's output.
    fs::path compile(const std::string& source_name, double& nanoseconds) const;
};

// What must happen to each frame of the capture, from how the frame was made.
struct Expectation {
    unsigned protocol = 0;
    bool drop = false;
};
struct Traffic {
    fs::path capture;
    std::vector<Expectation> frames;
};
Traffic make_traffic(const Workshop& workshop, unsigned frames);

}  // namespace demo
