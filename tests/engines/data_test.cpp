// SPDX-License-Identifier: MIT
//
// Conformance tests as files, on every engine: our own in data/, and bpf_conformance's where they
// are
// (../shared/conformance, or CASEMENT_SHARED).
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "data_file.hpp"
#include "engine.hpp"

namespace ebpf::engines {
namespace {

// The suite's only helper: its number is 5, it returns its first argument.
u64 first_argument(u64 a, u64, u64, u64, u64, code::Invocation*) {
    return a;
}

std::set<std::filesystem::path> files_in(const std::filesystem::path& directory) {
    std::set<std::filesystem::path> files;
    if (!std::filesystem::is_directory(directory)) return files;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().extension() == ".data") files.insert(entry.path());
    }
    return files;
}

class DataFiles : public EngineTest {
  protected:
    // The number of files that ran.
    int run_all(const std::filesystem::path& directory) {
        int ran = 0;
        for (const auto& path : files_in(directory)) {
            SCOPED_TRACE(path.filename().string());
            std::stringstream text;
            text << std::ifstream(path).rdbuf();
            const Result<DataFile> file = read_data_file(text.str());
            if (!file) {
                char why[200];
                render(file.error(), why);
                ADD_FAILURE() << why;
                continue;
            }
            std::vector<std::byte> memory = file->memory;
            const Result<u64> r0 = GetParam()->run(file->program, memory, {{5, first_argument}});
            if (!file->result) {
                EXPECT_FALSE(r0) << "the file expects an error";
            } else if (r0) {
                EXPECT_EQ(*r0, *file->result);
            } else if (r0.error() != Errc::Unsupported) {
                char why[200];
                render(r0.error(), why);
                ADD_FAILURE() << why;
            } else {
                continue;
            }
            ++ran;
        }
        return ran;
    }
};

TEST_P(DataFiles, Ours) {
    EXPECT_GE(run_all(ENGINE_DATA), 40);
}

TEST_P(DataFiles, BpfConformance) {
    const char* shared = std::getenv("CASEMENT_SHARED");
    const std::filesystem::path directory =
        std::filesystem::path(shared != nullptr ? shared : SHARED_DATA) / "conformance";
    if (files_in(directory).empty()) GTEST_SKIP() << "no bpf_conformance files in " << directory;
    // All of them: what an engine cannot do counts as a failure here.
    EXPECT_EQ(run_all(directory), static_cast<int>(files_in(directory).size()));
}

INSTANTIATE_TEST_SUITE_P(Engine, DataFiles, testing::ValuesIn(all_engines()), engine_name);

}  // namespace
}  // namespace ebpf::engines
