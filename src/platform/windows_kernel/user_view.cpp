// SPDX-License-Identifier: MIT
#include "platform/windows_kernel/user_view.hpp"

#include <cstring>

#include "platform/irql.hpp"

#undef __try  // libstdc++'s macro for code without exceptions

namespace ebpf::platform {
namespace {

// Mapping into a process raises an exception when it fails ("MmMapLockedPagesSpecifyCache",
// Microsoft), so it stands in a function of its own.
[[gnu::noinline]] void* map_or_null(ddk::Mdl* pages, u32 priority) {
    __try {
        return ddk::MmMapLockedPagesSpecifyCache(pages, ddk::kUserMode, ddk::kCached, nullptr, 0,
                                                 priority);
    } __except (1) {
        return nullptr;
    }
}

// A descriptor list of `count` frames from the ring's own, from page `first` of its mapping on.
ddk::Mdl* part_of(const RingMemory& ring, u64 first, u64 count) {
    ddk::Mdl* part =
        ddk::IoAllocateMdl(nullptr, static_cast<u32>(count * kPageSize), 0, 0, nullptr);
    if (part == nullptr) return nullptr;
    std::memcpy(ddk::page_frames(part), ddk::page_frames(ring_mapping(ring)) + first,
                count * sizeof(u64));
    part->flags = static_cast<i16>(part->flags | ddk::kMdlPagesLocked);
    return part;
}

void unmap(std::byte* at, ddk::Mdl* pages) {
    if (at != nullptr) ddk::MmUnmapLockedPages(at, pages);
    if (pages != nullptr) ddk::IoFreeMdl(pages);
}

}  // namespace

Result<UserView> map_for_user(const RingMemory& ring) {
    require_irql_at_most(Irql::Passive, "map_for_user");
    // Pages of the mapping: the block's header, the private page, consumer, producer, data twice.
    UserView view;
    view.consumer_pages = part_of(ring, 2, 1);
    view.ring_pages = part_of(ring, 3, 1 + 2 * (ring.data_size / kPageSize));
    constexpr u32 kReadWrite = ddk::kNormalPriority | ddk::kMappingNoExecute;
    if (view.consumer_pages != nullptr && view.ring_pages != nullptr) {
        const bool produces = ring.written_by == RingProducer::Others;
        constexpr u32 kRead = kReadWrite | ddk::kMappingNoWrite;
        view.consumer = static_cast<std::byte*>(
            map_or_null(view.consumer_pages, produces ? kRead : kReadWrite));
        view.producer =
            static_cast<std::byte*>(map_or_null(view.ring_pages, produces ? kReadWrite : kRead));
    }
    if (view.consumer == nullptr || view.producer == nullptr) {
        unmap(view.consumer, view.consumer_pages);
        unmap(view.producer, view.ring_pages);
        return fail(Errc::NoMemory, {}, "view of a ring", ring.data_size);
    }
    view.process = ddk::IoGetCurrentProcess();
    ddk::ObfReferenceObject(view.process);
    return view;
}

void unmap_for_user(const UserView& view) {
    require_irql_at_most(Irql::Passive, "unmap_for_user");
    const bool elsewhere = ddk::IoGetCurrentProcess() != view.process;
    ddk::ApcState state;
    if (elsewhere) ddk::KeStackAttachProcess(view.process, &state);
    unmap(view.consumer, view.consumer_pages);
    unmap(view.producer, view.ring_pages);
    if (elsewhere) ddk::KeUnstackDetachProcess(&state);
    ddk::ObfDereferenceObject(view.process);
}

}  // namespace ebpf::platform
