// SPDX-License-Identifier: MIT
//
// Memory comes from the non-paged pool; pages whose protection or mapping matters from memory
// descriptor lists. Code pages are mapped once, writable and not executable, and change to
// executable and not writable in place (MmProtectMdlSystemAddress). A system with HVCI refuses that
// change, as it should: there, programs are native images.
#include "platform/memory.hpp"

#include <atomic>
#include <cstring>

#include "platform/irql.hpp"
#include "platform/windows_kernel/ddk.hpp"

namespace ebpf::platform {
namespace {

std::atomic<u64> live_allocations{0};

// The first page of a block of pages; what the block is made of must be found again to free it.
struct BlockHeader {
    ddk::Mdl* pages;    // owns the pages
    ddk::Mdl* mapping;  // maps them; the same list, or one that names some pages twice
};
static_assert(sizeof(BlockHeader) <= kPageSize);

u64 whole_pages(u64 size) {
    return (size + kPageSize - 1) & ~u64{kPageSize - 1};
}

void free_pages(ddk::Mdl* pages) {
    ddk::MmFreePagesFromMdl(pages);
    ddk::ExFreePool(pages);
}

void unmap(std::byte* block) {
    const BlockHeader header = *reinterpret_cast<BlockHeader*>(block);
    ddk::MmUnmapLockedPages(block, header.mapping);
    if (header.mapping != header.pages) ddk::IoFreeMdl(header.mapping);
    free_pages(header.pages);
}

ddk::Mdl* allocate_pages(u64 bytes) {
    return ddk::MmAllocatePagesForMdlEx(0, -1, 0, bytes, ddk::kCached, ddk::kAllocateFully);
}

void* map(ddk::Mdl* mdl) {
    return ddk::MmMapLockedPagesSpecifyCache(mdl, ddk::kKernelMode, ddk::kCached, nullptr, 0,
                                             ddk::kNormalPriority | ddk::kMappingNoExecute);
}

}  // namespace

void* allocate(std::size_t size) {
    // Blocks below a page are 16-aligned, larger ones page-aligned. A size of 0 is a bug of the
    // caller for the pool.
    const std::size_t bytes = size == 0 ? 1 : size;
    void* memory = ddk::ExAllocatePoolWithTag(ddk::kNonPagedPoolNx, bytes, ddk::kPoolTag);
    if (memory == nullptr) return nullptr;
    std::memset(memory, 0, bytes);
    live_allocations.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

void release(void* memory) {
    if (memory == nullptr) return;
    live_allocations.fetch_sub(1, std::memory_order_relaxed);
    ddk::ExFreePoolWithTag(memory, ddk::kPoolTag);
}

void set_allocation_hook(bool (*)(std::size_t size, void* context), void*) {}

u64 allocations() {
    return live_allocations.load(std::memory_order_relaxed);
}

// --- code ---------------------------------------------------------------------------------------
// memory_ is the mapping; the descriptor list stands at the end of the last page, behind the code,
// and so is out of reach of writers once the pages are sealed.

Result<CodePages> CodePages::create(std::size_t size) {
    require_irql_at_most(Irql::Passive, "CodePages::create");
    if (size == 0 || size > (u64{1} << 31))
        return fail(Errc::InvalidArgument, {}, "code size", size);
    const u64 bytes = whole_pages(size + sizeof(ddk::Mdl*));
    ddk::Mdl* pages = allocate_pages(bytes);
    if (pages == nullptr) return fail(Errc::NoMemory, {}, "code pages", bytes);
    void* memory = map(pages);
    if (memory == nullptr) {
        free_pages(pages);
        return fail(Errc::NoMemory, {}, "code pages", bytes);
    }
    std::memset(memory, 0, bytes);
    CodePages code;
    code.memory_ = memory;
    code.size_ = bytes - sizeof pages;
    std::memcpy(static_cast<std::byte*>(memory) + code.size_, &pages, sizeof pages);
    return code;
}

Status CodePages::seal() {
    require_irql_at_most(Irql::Passive, "CodePages::seal");
    ddk::Mdl* pages;
    std::memcpy(&pages, static_cast<std::byte*>(memory_) + size_, sizeof pages);
    if (!ddk::succeeded(ddk::MmProtectMdlSystemAddress(pages, ddk::kPageExecuteRead))) {
        return fail(Errc::BlockedByPolicy, {}, "executable memory");
    }
    return {};
}

// The kernel's unwinder knows loaded images only.
void CodePages::register_unwind(std::size_t, std::size_t, std::size_t) {}
void CodePages::name_code(const Functions&) const {}

CodePages::~CodePages() {
    if (memory_ == nullptr) return;
    require_irql_at_most(Irql::Passive, "~CodePages");
    ddk::Mdl* pages;
    std::memcpy(&pages, static_cast<std::byte*>(memory_) + size_, sizeof pages);
    ddk::MmUnmapLockedPages(memory_, pages);
    free_pages(pages);
}

// --- shared pages -------------------------------------------------------------------------------
// Not there yet: clients would get views as they do of rings (user_view.hpp).

Result<SharedMemory> create_shared(std::size_t size) {
    return fail(Errc::Unsupported, {}, "memory that clients map, in the kernel", size);
}
Status seal_shared(const SharedMemory&) {
    return {};
}
bool mapped_writable_elsewhere(const SharedMemory&) {
    return false;
}
void destroy_shared(const SharedMemory&) {}

// --- rings --------------------------------------------------------------------------------------
// A descriptor list is an array of page frame numbers, so a second one that names the data's frames
// twice maps the ring in one piece. One page stands before RingMemory::base, for the header.

Result<RingMemory> create_ring(std::size_t data_size, RingProducer written_by) {
    require_irql_at_most(Irql::Passive, "create_ring");
    if (data_size == 0 || data_size % kPageSize != 0 || data_size > (u64{1} << 30)) {
        return fail(Errc::InvalidArgument, {}, "ring size", data_size);
    }
    constexpr u64 kHead = 4 * u64{kPageSize};  // header, private, consumer, producer
    const u64 bytes = kHead + data_size;
    ddk::Mdl* pages = allocate_pages(bytes);
    if (pages == nullptr) return fail(Errc::NoMemory, {}, "ring", bytes);
    ddk::Mdl* mapping =
        ddk::IoAllocateMdl(nullptr, static_cast<u32>(bytes + data_size), 0, 0, nullptr);
    if (mapping == nullptr) {
        free_pages(pages);
        return fail(Errc::NoMemory, {}, "ring", bytes);
    }
    const u64 data_frames = data_size / kPageSize;
    const u64 all_frames = bytes / kPageSize;
    u64* frames = ddk::page_frames(mapping);
    std::memcpy(frames, ddk::page_frames(pages), all_frames * sizeof *frames);
    std::memcpy(frames + all_frames, frames + all_frames - data_frames,
                data_frames * sizeof *frames);
    mapping->flags = static_cast<i16>(mapping->flags | ddk::kMdlPagesLocked);
    auto* block = static_cast<std::byte*>(map(mapping));
    if (block == nullptr) {
        ddk::IoFreeMdl(mapping);
        free_pages(pages);
        return fail(Errc::NoMemory, {}, "ring", bytes);
    }
    std::memset(block, 0, bytes);
    *reinterpret_cast<BlockHeader*>(block) = {pages, mapping};
    return RingMemory{block + kPageSize, data_size, written_by};
}

ddk::Mdl* ring_mapping(const RingMemory& ring) {
    return reinterpret_cast<const BlockHeader*>(ring.base - kPageSize)->mapping;
}

void destroy_ring(const RingMemory& ring) {
    require_irql_at_most(Irql::Passive, "destroy_ring");
    if (ring.base != nullptr) unmap(ring.base - kPageSize);
}

}  // namespace ebpf::platform
