// SPDX-License-Identifier: MIT
#include "platform/file_content.hpp"

#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#include <windows.h>

#include <cerrno>
#include <cstdlib>

#include "platform/user/descriptor.hpp"

namespace ebpf::platform {
namespace {

// Null when it cannot be mapped.
const void* map(int descriptor, std::size_t size) {
    const auto file = reinterpret_cast<HANDLE>(_get_osfhandle(descriptor));
    const HANDLE section = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
    if (section == nullptr) return nullptr;
    const void* const view = MapViewOfFile(section, FILE_MAP_READ, 0, 0, size);
    CloseHandle(section);  // the view keeps it
    return view;
}

// The C library says EACCES of a folder.
int why_not_opened(const char* path, int error) {
    struct _stat64 status{};
    const bool folder = _stat64(path, &status) == 0 && (status.st_mode & _S_IFDIR) != 0;
    return folder ? EISDIR : error;
}

}  // namespace

std::expected<FileContent, int> FileContent::open(const char* path, std::size_t most) {
    const Descriptor file(_open(path, _O_RDONLY | _O_BINARY | _O_NOINHERIT));
    if (file.get() < 0) return std::unexpected(why_not_opened(path, errno));
    struct _stat64 status{};
    if (_fstat64(file.get(), &status) != 0) return std::unexpected(errno);
    if ((status.st_mode & _S_IFREG) == 0 || status.st_size <= 0) return read(file.get(), most);
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size > most) return std::unexpected(EFBIG);
    const void* const memory = map(file.get(), size);
    if (memory == nullptr) return read(file.get(), most);
    return FileContent({static_cast<const std::byte*>(memory), size}, true);
}

FileContent::~FileContent() {
    if (bytes_.data() == nullptr) return;
    auto* const memory = const_cast<std::byte*>(bytes_.data());
    if (mapped_)
        UnmapViewOfFile(memory);
    else
        std::free(memory);
}

}  // namespace ebpf::platform
