// SPDX-License-Identifier: MIT
#include "platform/section_memory.hpp"

#include <sys/mman.h>

#include <cstring>

#include "platform/memory.hpp"

namespace ebpf::platform {

Result<SectionMemory> SectionMemory::create(Bytes content, std::size_t size) {
    const std::size_t bytes = (size + kPageSize - 1) & ~std::size_t{kPageSize - 1};
    if (bytes == 0 || content.size() > size)
        return fail(Errc::InvalidArgument, {}, "data section's size", bytes);
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return fail(Errc::NoMemory, {}, "data section", bytes);
    if (!content.empty()) std::memcpy(base, content.data(), content.size());
    SectionMemory memory;
    memory.base_ = static_cast<std::byte*>(base);
    memory.size_ = bytes;
    return memory;
}

SectionMemory::~SectionMemory() {
    if (base_ != nullptr) munmap(base_, size_);
}

Status SectionMemory::map_over(i64 native, bool writable) {
    const int rights = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const int file = static_cast<int>(native);
    if (mmap(base_, size_, rights, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED) return {};
    return fail(Errc::NotSupported, {}, "mapping a data section's map");
}

}  // namespace ebpf::platform
