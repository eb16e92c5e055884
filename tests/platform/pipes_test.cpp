// SPDX-License-Identifier: MIT
// What is no file of a known size, as Linux has it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <thread>

#include "platform/file_content.hpp"

namespace ebpf::platform {
namespace {

TEST(Pipes, AreReadToTheirEnd) {
    const std::string path = testing::TempDir() + "casement_pipe_" + std::to_string(getpid());
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const std::string written(200'000, 'p');
    std::thread writer([&] { std::ofstream(path, std::ios::binary) << written; });
    const auto content = FileContent::open(path.c_str(), written.size());
    writer.join();
    unlink(path.c_str());
    ASSERT_TRUE(content);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(content->bytes().data()),
                          content->bytes().size()),
              written);
}

TEST(Pipes, WithoutEndAreTooLarge) {
    EXPECT_EQ(FileContent::open("/dev/zero", 1 << 20).error(), EFBIG);
}

}  // namespace
}  // namespace ebpf::platform
