// SPDX-License-Identifier: MIT
#include "platform/memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "platform/irql.hpp"
#include "platform/user/heap.hpp"

namespace ebpf::platform {
namespace {

std::size_t whole_pages(std::size_t size) {
    return (size + kPageSize - 1) & ~std::size_t{kPageSize - 1};
}

}  // namespace

Result<CodePages> CodePages::create(std::size_t size) {
    require_irql_at_most(Irql::Passive, "CodePages::create");
    const std::size_t bytes = whole_pages(size);
    if (bytes == 0 || bytes < size) return fail(Errc::InvalidArgument, {}, "code size", size);
    if (!may_allocate(bytes)) return fail(Errc::NoMemory, {}, "code pages", bytes);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail(Errc::NoMemory, {}, "code pages", bytes);
    CodePages pages;
    pages.memory_ = memory;
    pages.size_ = bytes;
    return pages;
}

Status CodePages::seal() {
    require_irql_at_most(Irql::Passive, "CodePages::seal");
    if (mprotect(memory_, size_, PROT_READ | PROT_EXEC) != 0) {
        return fail(Errc::BlockedByPolicy, {}, "executable memory");
    }
    __builtin___clear_cache(static_cast<char*>(memory_), static_cast<char*>(memory_) + size_);
    return {};
}

CodePages::~CodePages() {
    if (memory_ == nullptr) return;
    require_irql_at_most(Irql::Passive, "~CodePages");
    munmap(memory_, size_);
}

Result<RingMemory> create_ring(std::size_t data_size) {
    require_irql_at_most(Irql::Passive, "create_ring");
    if (data_size == 0 || data_size % kPageSize != 0) {
        return fail(Errc::InvalidArgument, {}, "ring size", data_size);
    }
    const std::size_t shared = 2 * std::size_t{kPageSize} + data_size;
    if (!may_allocate(shared)) return fail(Errc::NoMemory, {}, "ring", shared);
    const int file = memfd_create("ebpf-ring", MFD_CLOEXEC);
    if (file < 0) return fail(Errc::NoMemory, {}, "ring", shared);
    // Reserve the addresses once, then put the file over them, its data a second time at the end.
    const std::size_t total = kPageSize + shared + data_size;
    void* base = mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool mapped = base != MAP_FAILED && ftruncate(file, static_cast<off_t>(shared)) == 0;
    if (mapped) {
        auto* at = static_cast<std::byte*>(base);
        const int rw = PROT_READ | PROT_WRITE;
        mapped = mprotect(at, kPageSize, rw) == 0 &&
                 mmap(at + kPageSize, shared, rw, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED &&
                 mmap(at + kPageSize + shared, data_size, rw, MAP_SHARED | MAP_FIXED, file,
                      2 * off_t{kPageSize}) != MAP_FAILED;
    }
    close(file);
    if (!mapped) {
        if (base != MAP_FAILED) munmap(base, total);
        return fail(Errc::NoMemory, {}, "ring", shared);
    }
    return RingMemory{static_cast<std::byte*>(base), data_size};
}

void destroy_ring(const RingMemory& ring) {
    require_irql_at_most(Irql::Passive, "destroy_ring");
    if (ring.base != nullptr) munmap(ring.base, 3 * std::size_t{kPageSize} + 2 * ring.data_size);
}

}  // namespace ebpf::platform
