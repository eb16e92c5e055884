// SPDX-License-Identifier: MIT
// What the benchmarks of engines have in common: how a program of programs/ is read.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "elf/elf.hpp"

namespace ebpf::bench {

inline constexpr std::size_t kInputBytes = 2048;  // programs/program.h

[[noreturn]] inline void die(const std::string& name, const Error& error) {
    char text[200];
    render(error, text);
    std::fprintf(stderr, "%s: %s\n", name.c_str(), text);
    std::exit(1);
}

template <typename T>
T value_or_die(const std::string& name, Result<T> result) {
    if (!result) die(name, result.error());
    return std::move(*result);
}

// The section that programs are in. They need nothing linked.
inline std::vector<std::byte> read_program(const std::string& name) {
    std::ifstream stream(BENCH_PROGRAMS "/" + name + ".bpf.o", std::ios::binary);
    const std::string file((std::istreambuf_iterator<char>(stream)), {});
    const auto object = value_or_die(name, elf::File::open(std::as_bytes(std::span(file))));
    for (u32 i = 0; i < object.section_count(); ++i) {
        const auto section = value_or_die(name, object.section(i));
        if (section.name == "bench") return {section.bytes.begin(), section.bytes.end()};
    }
    die(name, {Errc::BadFormat, {}, "no section `bench`"});
}

}  // namespace ebpf::bench
