// SPDX-License-Identifier: MIT
// The fourth oracle finds every fault that makes the verdict hang on the presentation
// (verifier/planted.hpp, 300 to 320).
#include "oracles/generator.hpp"
#include "oracles/presentation.hpp"
#include "oracles/shapes.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier::oracle {
namespace {

constexpr int kFirst = 300, kFaults = 21;

std::string found_by(int fault, u64& tried) {
    Comparison count;
    std::string what;
    planted_fault = fault;
    for (u64 seed = 1; seed <= 60 && what.empty(); ++seed) {
        for (std::size_t s = 0; s < shape_count() && what.empty(); ++s) {
            const std::string differs = compare_presentations(shape(s, seed), seed, count);
            if (!differs.empty()) what = std::string(shape_name(s)) + ", " + differs;
        }
    }
    for (u64 seed = 1; seed <= 200 && what.empty(); ++seed)
        what = compare_presentations(generate(seed), seed, count);
    planted_fault = 0;
    tried = count.pairs;
    return what;
}

TEST(PresentationFaults, AllAreFound) {
    int found = 0;
    for (int fault = kFirst; fault < kFirst + kFaults; ++fault) {
        u64 tried = 0;
        const std::string what = found_by(fault, tried);
        EXPECT_NE(what, "") << "fault " << fault << " was not found";
        std::printf("presentation fault %d: pair %llu, %s\n", fault,
                    static_cast<unsigned long long>(tried),
                    what.empty() ? "NOT FOUND" : what.substr(0, what.find('\n')).c_str());
        std::fflush(stdout);
        found += !what.empty();
    }
    std::printf("found %d of %d planted faults in presentation\n", found, kFaults);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
