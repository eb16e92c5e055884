// SPDX-License-Identifier: MIT
// What is no file that can be mapped.
#include "platform/file_content.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

namespace ebpf::platform {
namespace {

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

}  // namespace

std::expected<FileContent, int> FileContent::read(int descriptor, std::size_t most) {
    constexpr std::size_t kAtOnce = std::size_t{1} << 30;  // Windows counts in 32 bits
    std::unique_ptr<std::byte, Free> bytes;
    std::size_t size = 0, room = 0;
    while (true) {
        if (size == room) {
            room = std::max<std::size_t>(65536, 2 * room);
            void* const larger = std::realloc(bytes.get(), room);
            if (larger == nullptr) return std::unexpected(ENOMEM);
            (void)bytes.release();
            bytes.reset(static_cast<std::byte*>(larger));
        }
        const auto n = ::read(descriptor, bytes.get() + size, std::min(room - size, kAtOnce));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return std::unexpected(errno);
        if (n == 0) return FileContent({bytes.release(), size}, false);
        size += static_cast<std::size_t>(n);
        if (size > most) return std::unexpected(EFBIG);
    }
}

}  // namespace ebpf::platform
