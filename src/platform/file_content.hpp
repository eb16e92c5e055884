// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <expected>

#include "base/types.hpp"

namespace ebpf::platform {

// What is in a file: mapped where the system can, since most of an object is debug information that
// nobody looks at, and read where it cannot (a pipe, /sys). A file that is cut short while it is
// mapped ends the process that reads there, as with libelf. User mode.
class FileContent {
  public:
    // An errno value when it cannot be read; EFBIG when it is longer than `most` bytes. What is no
    // file of a known size is read to its end or to `most`.
    static std::expected<FileContent, int> open(const char* path, std::size_t most);

    FileContent(FileContent&& other) noexcept : bytes_(other.bytes_), mapped_(other.mapped_) {
        other.bytes_ = {};
    }
    FileContent& operator=(FileContent&&) = delete;
    ~FileContent();

    Bytes bytes() const { return bytes_; }

  private:
    FileContent(Bytes bytes, bool mapped) : bytes_(bytes), mapped_(mapped) {}
    static std::expected<FileContent, int> read(int descriptor, std::size_t most);

    Bytes bytes_;
    bool mapped_ = false;
};

}  // namespace ebpf::platform
