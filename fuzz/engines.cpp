// SPDX-License-Identifier: MIT
//
// Programs on the interpreter and the JIT (tests/engines/differential.hpp). The input is not a
// program but what decides how one is made: its bytes, eight at a time, are seeds, so that every
// input is a program that may be run.
//
//     fuzz_engines -runs=N        N times up to 16 seeds, each as generated and as mutated program
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "differential.hpp"

namespace {

using namespace ebpf;

std::vector<engines::Variant> all_variants() {
    jit::Target any = jit::Target::host(), windows = any;
    any.bmi2 = false;
    windows.convention = jit::CallingConvention::WindowsX64;
    return {{"host", jit::Target::host()},
            {"any x86-64", any},
            {"Windows", windows},
            {"hardened",
             any,
             {.blind_constants = true, .blinding_seed = 99, .safe_indirect_calls = true}},
            {"host, optimised", jit::Target::host(), {.level = jit::Level::Optimise}},
            {"any x86-64, optimised", any, {.level = jit::Level::Optimise}},
            {"Windows, optimised", windows, {.level = jit::Level::Optimise}},
            {"hardened, optimised",
             any,
             {.level = jit::Level::Optimise,
              .blind_constants = true,
              .blinding_seed = 99,
              .safe_indirect_calls = true}}};
}

void check(std::uint64_t seed) {
    static const auto kVariants = all_variants();
    static const auto kBases = engines::base_programs(ENGINE_DATA);
    const engines::Variant& variant = kVariants[seed >> 8 & 7];
    auto difference = engines::try_generated(seed, variant);
    if (!difference && !kBases.empty()) difference = engines::try_mutated(seed, kBases, variant);
    if (!difference) return;
    std::fprintf(stderr, "%s, seed %llu: %s\n", variant.name, static_cast<unsigned long long>(seed),
                 difference->c_str());
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    for (std::size_t at = 0; at < size && at < 8 * 16; at += 8) {
        std::uint64_t seed = 0;
        std::memcpy(&seed, data + at, std::min<std::size_t>(8, size - at));
        check(seed);
    }
    return 0;
}
