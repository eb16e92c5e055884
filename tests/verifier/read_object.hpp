// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "engine/object.hpp"

namespace ebpf::verifier {

// The object in the file, in Linux's dialect; an empty one where it cannot be read. Of `options`
// name and dialect are set here.
inline engine::Object read_object(const std::filesystem::path& path,
                                  engine::ReadOptions options = {}) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    options.name = path.filename();
    options.dialect = spec::Dialect::Linux;
    auto object = engine::read_object(std::as_bytes(std::span(bytes)), options);
    return object ? std::move(*object) : engine::Object{};
}

// As the public corpus is to be read, whose sections need not say what they are.
inline engine::Object read_corpus_object(const std::filesystem::path& path) {
    engine::ReadOptions options;
    options.default_type = spec::ProgramType::SchedCls;
    options.unknown_kconfig = true;
    return read_object(path, options);
}

}  // namespace ebpf::verifier
