// SPDX-License-Identifier: MIT
// The objects that tests/objects compiles, with every clang that is there.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/object.hpp"

namespace ebpf::engine {

inline std::vector<std::byte> read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    return {bytes, bytes + text.size()};
}

// "clang14", "clang19", ...; empty without a clang that knows BPF.
inline std::vector<std::string> compilers() {
    std::vector<std::string> out;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(CASEMENT_TEST_OBJECTS, none)) {
        const std::string folder = entry.path().filename().string();
        if (folder.starts_with("clang")) out.push_back(folder);
    }
    std::ranges::sort(out);
    return out;
}

inline std::vector<std::byte> test_object(const std::string& compiler, const std::string& name) {
    return read_file(std::filesystem::path(CASEMENT_TEST_OBJECTS) / compiler / (name + ".o"));
}

}  // namespace ebpf::engine
