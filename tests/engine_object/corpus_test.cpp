// SPDX-License-Identifier: MIT
// Reads the objects of the corpus: every program that expectations.csv lists must be there.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "engine/object.hpp"

namespace ebpf::engine {
namespace {

namespace fs = std::filesystem;

fs::path corpus() {
    const char* shared = std::getenv("CASEMENT_SHARED");
    return fs::path(shared != nullptr ? shared : CASEMENT_SHARED_DIR) / "corpus";
}

std::vector<std::byte> read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    return {bytes, bytes + text.size()};
}

struct Row {
    std::string file, section, program, instructions, expected, accepted_by;
};

std::vector<Row> rows() {
    std::ifstream in(corpus() / "expectations.csv");
    std::vector<Row> out;
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
        std::stringstream fields(line);
        Row row;
        for (std::string* field : {&row.file, &row.section, &row.program, &row.instructions,
                                   &row.expected, &row.accepted_by}) {
            std::getline(fields, *field, ',');
        }
        out.push_back(row);
    }
    return out;
}

ReadOptions linux_options(const std::string& file) {
    return {.name = file,
            .dialect = spec::Dialect::Linux,
            .default_type = spec::ProgramType::Unspec,
            .unknown_kconfig = true};
}

TEST(Corpus, EveryListedProgramIsFoundAndLinked) {
    if (!fs::exists(corpus())) GTEST_SKIP() << "no corpus at " << corpus();
    std::map<std::string, Result<Object>> objects;
    int found = 0, counted = 0, equal = 0, linked = 0;
    for (const Row& row : rows()) {
        auto known = objects.find(row.file);
        if (known == objects.end()) {
            const auto bytes = read_file(corpus() / row.file);
            auto object = read_object(bytes, linux_options(row.file));
            if (!object) {
                std::cout << row.file << ": " << describe(object.error(), bytes) << "\n";
            } else {
                for (const auto& w : object->warnings) std::cout << row.file << ": " << w << "\n";
                for (const auto& m : object->map_status) {
                    if (!m) std::cout << row.file << ": map " << describe(m.error(), bytes) << "\n";
                }
            }
            known = objects.emplace(row.file, std::move(object)).first;
        }
        if (row.section.empty()) continue;
        ASSERT_TRUE(known->second) << row.file;
        const ObjectProgram* program = known->second->find(row.section, row.program);
        EXPECT_NE(program, nullptr) << row.file << " " << row.section << " " << row.program;
        if (program == nullptr) continue;
        ++found;
        if (!program->program) {
            std::cout << row.file << " " << row.section << " " << row.program << " ("
                      << row.expected << "): " << program->message << "\n";
            continue;
        }
        ++linked;
        if (row.instructions.empty()) continue;
        ++counted;
        const bool same = program->program->insns.size() == std::stoul(row.instructions);
        equal += same;
        if (!same) {
            std::cout << row.file << " " << row.section << " " << row.program << ": "
                      << program->program->insns.size() << " instead of " << row.instructions
                      << "\n";
        }
    }
    std::cout << found << " found, " << linked << " linked, " << equal << " of " << counted
              << " with the listed number of instructions\n";
}

}  // namespace
}  // namespace ebpf::engine
