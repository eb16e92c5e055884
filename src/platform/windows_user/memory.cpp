// SPDX-License-Identifier: MIT
#include "platform/memory.hpp"

#include <windows.h>

#include <new>

#include "platform/irql.hpp"
#include "platform/user/heap.hpp"
#include "platform/windows_user/section.hpp"

namespace ebpf::platform {
namespace {

constexpr u64 kGranule = 64 * 1024;  // views of a section begin at multiples of it

std::size_t whole_pages(std::size_t size) {
    return (size + kPageSize - 1) & ~std::size_t{kPageSize - 1};
}

// Maps the section's head and data, and its data again behind, at `at`.
bool map_ring(HANDLE section, std::byte* at, u64 data_size) {
    const u64 first = kGranule + data_size;
    if (MapViewOfFileEx(section, FILE_MAP_WRITE, 0, 0, first, at) != at) return false;
    if (MapViewOfFileEx(section, FILE_MAP_WRITE, 0, kGranule, data_size, at + first) ==
        at + first) {
        return true;
    }
    UnmapViewOfFile(at);
    return false;
}

}  // namespace

// Large pages need a privilege there.
void prefer_large_pages(void*, std::size_t) {}

Result<CodePages> CodePages::create(std::size_t size) {
    require_irql_at_most(Irql::Passive, "CodePages::create");
    const std::size_t bytes = whole_pages(size);
    if (bytes == 0 || bytes < size) return fail(Errc::InvalidArgument, {}, "code size", size);
    if (!may_allocate(bytes)) return fail(Errc::NoMemory, {}, "code pages", bytes);
    void* memory = VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "code pages", bytes);
    CodePages pages;
    pages.memory_ = memory;
    pages.size_ = bytes;
    return pages;
}

Status CodePages::seal() {
    require_irql_at_most(Irql::Passive, "CodePages::seal");
    DWORD before = 0;
    if (VirtualProtect(memory_, size_, PAGE_EXECUTE_READ, &before) == 0) {
        return fail(Errc::BlockedByPolicy, {}, "executable memory");
    }
    FlushInstructionCache(GetCurrentProcess(), memory_, size_);
    return {};
}

void CodePages::register_unwind(std::size_t text, std::size_t offset, std::size_t size) {
    require_irql_at_most(Irql::Passive, "CodePages::register_unwind");
    if (size == 0) return;
    for (void*& table : tables_) {
        if (table != nullptr) continue;
        std::byte* const base = static_cast<std::byte*>(memory_) + text;
        auto* const functions = reinterpret_cast<RUNTIME_FUNCTION*>(base + offset);
        const auto count = static_cast<DWORD>(size / sizeof(RUNTIME_FUNCTION));
        if (RtlAddFunctionTable(functions, count, reinterpret_cast<DWORD64>(base)) != 0)
            table = functions;
        return;
    }
}

void CodePages::name_code(const Functions&) const {}

CodePages::~CodePages() {
    if (memory_ == nullptr) return;
    require_irql_at_most(Irql::Passive, "~CodePages");
    for (void* table : tables_)
        if (table != nullptr) RtlDeleteFunctionTable(static_cast<RUNTIME_FUNCTION*>(table));
    VirtualFree(memory_, 0, MEM_RELEASE);
}

Section* create_section(u64 bytes) {
    void* const memory = allocate(sizeof(Section));
    const HANDLE handle =
        CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE,
                           static_cast<DWORD>(bytes >> 32), static_cast<DWORD>(bytes), nullptr);
    if (memory != nullptr && handle != nullptr) return new (memory) Section{.handle = handle};
    if (handle != nullptr) CloseHandle(handle);
    release(memory);
    return nullptr;
}

void release_section(Section* section) {
    if (section->users.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    CloseHandle(section->handle);
    release(section);
}

Result<SharedMemory> create_shared(std::size_t size) {
    require_irql_at_most(Irql::Passive, "create_shared");
    const std::size_t bytes = whole_pages(size);
    if (bytes == 0 || bytes < size) return fail(Errc::InvalidArgument, {}, "shared size", size);
    if (!may_allocate(bytes)) return fail(Errc::NoMemory, {}, "shared pages", bytes);
    Section* const section = create_section(bytes);
    if (section == nullptr) return fail(Errc::NoMemory, {}, "shared pages", bytes);
    void* base = MapViewOfFile(section->handle, FILE_MAP_WRITE, 0, 0, bytes);
    if (base == nullptr) {
        release_section(section);
        return fail(Errc::NoMemory, {}, "shared pages", bytes);
    }
    return SharedMemory{static_cast<std::byte*>(base), bytes, reinterpret_cast<i64>(section)};
}

// The section stays this process's own, and nobody but SectionMemory maps it elsewhere: the two
// count and ask.
Status seal_shared(const SharedMemory& memory) {
    Section::of(memory.native)->sealed.store(true);
    return {};
}
bool mapped_writable_elsewhere(const SharedMemory& memory) {
    return Section::of(memory.native)->writers.load() != 0;
}

void destroy_shared(const SharedMemory& memory) {
    require_irql_at_most(Irql::Passive, "destroy_shared");
    if (memory.base == nullptr) return;
    UnmapViewOfFile(memory.base);
    release_section(Section::of(memory.native));
}

// Views begin at granules, so a smaller ring has a granule of data. The section is one granule,
// whose last three pages are the private, the consumer's and the producer's, and the data. An
// address range is found by reserving it and letting go; another thread may take it before the
// views are there, so that is tried again.
Result<RingMemory> create_ring(std::size_t data_size, RingProducer written_by) {
    require_irql_at_most(Irql::Passive, "create_ring");
    if (data_size == 0 || data_size % kPageSize != 0) {
        return fail(Errc::InvalidArgument, {}, "ring size", data_size);
    }
    data_size = (data_size + kGranule - 1) & ~std::size_t{kGranule - 1};
    const u64 bytes = kGranule + data_size;
    if (!may_allocate(bytes)) return fail(Errc::NoMemory, {}, "ring", bytes);
    const HANDLE section =
        CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE,
                           static_cast<DWORD>(bytes >> 32), static_cast<DWORD>(bytes), nullptr);
    if (section == nullptr) return fail(Errc::NoMemory, {}, "ring", bytes);
    std::byte* mapped = nullptr;
    for (int attempt = 0; attempt < 16 && mapped == nullptr; ++attempt) {
        void* free_range = VirtualAlloc(nullptr, bytes + data_size, MEM_RESERVE, PAGE_NOACCESS);
        if (free_range == nullptr) break;
        VirtualFree(free_range, 0, MEM_RELEASE);
        auto* at = static_cast<std::byte*>(free_range);
        if (map_ring(section, at, data_size)) mapped = at;
    }
    CloseHandle(section);  // the views keep it
    if (mapped == nullptr) return fail(Errc::NoMemory, {}, "ring", bytes);
    return RingMemory{mapped + kGranule - 3 * u64{kPageSize}, data_size, written_by};
}

void destroy_ring(const RingMemory& ring) {
    require_irql_at_most(Irql::Passive, "destroy_ring");
    if (ring.base == nullptr) return;
    UnmapViewOfFile(ring.data() - kGranule);
    UnmapViewOfFile(ring.data() + ring.data_size);
}

}  // namespace ebpf::platform
