// SPDX-License-Identifier: MIT
#include "platform/file_content.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace ebpf::platform {
namespace {

class FileContentTest : public testing::Test {
  protected:
    FileContentTest() { std::filesystem::create_directories(folder_); }
    ~FileContentTest() override { std::filesystem::remove_all(folder_); }

    std::string path(const char* name) const { return (folder_ / name).string(); }
    std::string file(const char* name, std::string_view text) const {
        std::ofstream(path(name), std::ios::binary) << text;
        return path(name);
    }
    static std::string text(const FileContent& content) {
        return {reinterpret_cast<const char*>(content.bytes().data()), content.bytes().size()};
    }

  private:
    std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("file_content_" + std::to_string(getpid()));
};

TEST_F(FileContentTest, IsTheFileWhole) {
    for (const size_t size : {size_t{1}, size_t{4096}, size_t{100'000}}) {
        const std::string written(size, 'x');
        const auto content = FileContent::open(file("f", written).c_str(), size);
        ASSERT_TRUE(content) << size;
        EXPECT_EQ(text(*content), written);
    }
}

TEST_F(FileContentTest, OfAnEmptyFileIsEmpty) {
    const auto content = FileContent::open(file("f", "").c_str(), 10);
    ASSERT_TRUE(content);
    EXPECT_TRUE(content->bytes().empty());
}

TEST_F(FileContentTest, SaysWhyThereIsNone) {
    EXPECT_EQ(FileContent::open(path("absent").c_str(), 10).error(), ENOENT);
    EXPECT_EQ(FileContent::open(path(".").c_str(), 10).error(), EISDIR);
    EXPECT_EQ(FileContent::open(file("f", "eleven byte").c_str(), 10).error(), EFBIG);
}

}  // namespace
}  // namespace ebpf::platform
