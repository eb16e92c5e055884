// SPDX-License-Identifier: MIT
//
// A fuzz target without libFuzzer: runs LLVMFuzzerTestOneInput over the files and folders named on
// the command line, so that every build's tests replay the kept corpus. Each file is also cut short
// and damaged a little, the same way each time.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::vector<std::uint8_t>& bytes) {
    // A copy of exactly this size, so that the address sanitizer sees the first byte past it.
    const std::vector<std::uint8_t> exact(bytes);
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void replay(const std::filesystem::path& file, std::size_t& runs) {
    std::ifstream in(file, std::ios::binary);
    std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
    run(bytes);
    ++runs;
    constexpr std::size_t kVariants = 32;
    const std::size_t step = bytes.size() / kVariants + 1;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        run({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at)});
        const std::uint8_t kept = bytes[at];
        for (const int flip : {0x01, 0x80, 0xff}) {
            bytes[at] = static_cast<std::uint8_t>(kept ^ flip);
            run(bytes);
            ++runs;
        }
        bytes[at] = kept;
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t runs = 0;
    for (int i = 1; i < argc; ++i) {
        const std::filesystem::path path = argv[i];
        if (std::filesystem::is_directory(path)) {
            for (const auto& entry : std::filesystem::directory_iterator(path)) {
                if (entry.is_regular_file()) replay(entry.path(), runs);
            }
        } else {
            replay(path, runs);
        }
    }
    std::printf("%zu inputs\n", runs);
    return runs == 0 ? 1 : 0;  // an empty corpus tests nothing
}
