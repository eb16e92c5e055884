// SPDX-License-Identifier: MIT
#include "platform/file_content.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "platform/user/descriptor.hpp"

namespace ebpf::platform {

std::expected<FileContent, int> FileContent::open(const char* path, std::size_t most) {
    const Descriptor file(::open(path, O_RDONLY | O_CLOEXEC));
    struct stat status{};
    if (file.get() < 0 || fstat(file.get(), &status) != 0) return std::unexpected(errno);
    if (!S_ISREG(status.st_mode) || status.st_size <= 0) return read(file.get(), most);
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size > most) return std::unexpected(EFBIG);
    void* const memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (memory == MAP_FAILED) return read(file.get(), most);
    return FileContent({static_cast<const std::byte*>(memory), size}, true);
}

FileContent::~FileContent() {
    if (bytes_.data() == nullptr) return;
    auto* const memory = const_cast<std::byte*>(bytes_.data());
    if (mapped_)
        munmap(memory, bytes_.size());
    else
        std::free(memory);
}

}  // namespace ebpf::platform
