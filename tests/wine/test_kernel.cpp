// SPDX-License-Identifier: MIT
//
// The test kernel: what Wine's ntoskrnl.exe lacks or does otherwise, so that the driver that would
// be shipped runs under Wine unchanged. tools/wine.py links this with forwarders for everything
// else to a copy of the installed Wine's file, which it makes at test time.
//
// Memory descriptor lists: pages come from sections, so that they can be mapped more than once and
// into other processes; a "page frame number" says which section and which of its pages. Views of
// sections begin at multiples of 64 KiB in both, so the pages of a list lie at the end of their
// section: what is a multiple of 64 KiB behind a short head (a ring) then begins at one. A mapping
// that does not fit this fails, which on Windows it would not.
//
// Handles: Wine's ObReferenceObjectByHandle does not know user mode. Ours takes the handle from the
// process that asks. By the documentation of that function the handle must grant what is asked for
// (STATUS_ACCESS_DENIED). A FILE_OBJECT of a file system has that one's FsContext; in Wine it has
// none.
//
// There is one processor: Wine hands a driver one request at a time, but its thread may move
// between processors, while the driver at DISPATCH may rely on staying on its own.
#include "platform/windows_kernel/ddk.hpp"

using namespace ebpf;
using platform::ddk::Mdl;
using platform::ddk::NtStatus;
using platform::ddk::page_frames;

extern "C" {

void* ntos_pool(i32 type, std::size_t size, u32 tag) __asm__("ExAllocatePoolWithTag");
void ntos_free(void* memory) __asm__("ExFreePool");
u64 KeQueryInterruptTime();
void KeQuerySystemTime(i64* time);
void* PsGetCurrentProcessId();
NtStatus ZwCreateSection(void** section, u32 access, void* attributes, const i64* size,
                         u32 protection, u32 kind, void* file);
NtStatus ZwMapViewOfSection(void* section, void* process, void** at, u64 zero_bits, u64 commit,
                            i64* offset, u64* size, u32 inherit, u32 kind, u32 protection);
NtStatus ZwUnmapViewOfSection(void* process, void* at);
NtStatus ZwAllocateVirtualMemory(void* process, void** at, u64 zero_bits, u64* size, u32 kind,
                                 u32 protection);
NtStatus ZwFreeVirtualMemory(void* process, void** at, u64* size, u32 kind);
NtStatus ZwProtectVirtualMemory(void* process, void** at, u64* size, u32 protection, u32* before);
NtStatus ObOpenObjectByPointer(void* object, u32 attributes, void* state, u32 access, void* type,
                               u8 mode, void** handle);
NtStatus ZwClose(void* handle);
NtStatus ZwDuplicateObject(void* from, void* handle, void* to, void** out, u32 access,
                           u32 attributes, u32 options);
NtStatus ZwQueryInformationFile(void* file, void* status, void* out, u32 size, u32 kind);
NtStatus ZwQueryObject(void* handle, u32 kind, void* out, u32 size, u32* used);
extern NtStatus (*base_reference)(void* handle, u32 access, void* type, u8 mode, void** object,
                                  void* information) __asm__("__imp_ObReferenceObjectByHandle");
i64 base_dereference(void* object) __asm__("ObfDereferenceObject");
void* IoGetCurrentProcess();
extern void** process_type __asm__("__imp_PsProcessType");

}  // extern "C"

namespace {

constexpr u64 kPage = 4096;
constexpr u64 kGranule = 16;  // pages
constexpr u32 kBlocks = 4096;
constexpr u32 kViews = 4096;
void* const kSelf = reinterpret_cast<void*>(~u64{0});  // NtCurrentProcess()
constexpr u32 kReadOnly = 2, kReadWrite = 4, kExecuteReadWrite = 0x40;

struct Block {
    void* section = nullptr;
};
struct View {
    void* at = nullptr;       // what the caller got
    void* owner = nullptr;    // the process object, null for the kernel
    void* process = nullptr;  // its handle
    void* parts[3] = {};
    u32 count = 0;
};
constinit u64 foreign_context[8] = {~u64{0}, ~u64{0}, ~u64{0}, ~u64{0},
                                    ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}};
constinit Block blocks[kBlocks];
constinit View views[kViews];

u64 frame_of(u64 block, u64 page) {
    return (block + 1) << 24 | page;
}
Block& block_of(u64 frame) {
    return blocks[(frame >> 24) - 1];
}
u64 page_of(u64 frame) {
    return frame & 0xFF'FFFF;
}
u64 pages_of(const Mdl& mdl) {
    return (u64{mdl.byte_count} + kPage - 1) / kPage;
}

Mdl* new_mdl(u64 bytes) {
    const u64 pages = (bytes + kPage - 1) / kPage;
    const u64 size = sizeof(Mdl) + pages * sizeof(u64);
    auto* mdl = static_cast<Mdl*>(ntos_pool(0, size, 0));
    if (mdl == nullptr) return nullptr;
    for (u64 i = 0; i < size; ++i) reinterpret_cast<volatile u8*>(mdl)[i] = 0;
    mdl->size = static_cast<i16>(size > 0x7FFF ? 0x7FFF : size);
    mdl->byte_count = static_cast<u32>(bytes);
    return mdl;
}

// Frees a range again, at once, and returns where it was.
void* find_room(void* process, u64 pages) {
    void* at = nullptr;
    u64 size = pages * kPage;
    if (ZwAllocateVirtualMemory(process, &at, 0, &size, 0x2000, 1) < 0) return nullptr;
    void* const found = at;
    size = 0;
    ZwFreeVirtualMemory(process, &at, &size, 0x8000);
    return found;
}

void unmap_parts(View& view) {
    while (view.count != 0) ZwUnmapViewOfSection(view.process, view.parts[--view.count]);
}

// Maps the list's runs of consecutive frames one behind another.
bool map_parts(const Mdl& mdl, View& view, u32 protection, u32 user_protection) {
    const u64* frames = page_frames(const_cast<Mdl*>(&mdl));
    const u64 pages = pages_of(mdl);
    const u64 lead = page_of(frames[0]) % kGranule;
    auto* const base = static_cast<u8*>(find_room(view.process, lead + pages));
    if (base == nullptr) return false;
    for (u64 first = 0; first < pages;) {
        u64 next = first + 1;
        while (next < pages && frames[next] == frames[next - 1] + 1) ++next;
        const u64 before = first == 0 ? lead : 0;
        if ((lead + first - before) % kGranule != 0) return false;
        if (page_of(frames[first]) % kGranule != before || view.count == 3) return false;
        void* at = base + (lead + first - before) * kPage;
        i64 offset = static_cast<i64>((page_of(frames[first]) - before) * kPage);
        u64 size = (before + next - first) * kPage;
        void* const wanted = at;
        if (ZwMapViewOfSection(block_of(frames[first]).section, view.process, &at, 0, 0, &offset,
                               &size, 2, 0, protection) < 0) {
            return false;
        }
        view.parts[view.count++] = at;
        if (at != wanted) return false;
        // Pages of the section that the list does not name are not for the other process to see.
        u32 ignored = 0;
        if (before != 0 && view.owner != nullptr) {
            u64 hidden = before * kPage;
            ZwProtectVirtualMemory(view.process, &at, &hidden, 1, &ignored);
        }
        void* named = base + (lead + first) * kPage;
        u64 named_size = (next - first) * kPage;
        ZwProtectVirtualMemory(view.process, &named, &named_size, user_protection, &ignored);
        first = next;
    }
    view.at = base + lead * kPage;
    return true;
}

View* free_view() {
    for (View& view : views) {
        if (view.at == nullptr) return &view;
    }
    return nullptr;
}

// A handle of ours for what the current process' handle is; it says what that one grants.
NtStatus take_handle(void* handle, void*& taken, u32& granted) {
    void* process = nullptr;
    NtStatus status = ObOpenObjectByPointer(IoGetCurrentProcess(), 0x200, nullptr, 0x1FFFFF,
                                            *process_type, 0, &process);
    if (status < 0) return status;
    status = ZwDuplicateObject(process, handle, kSelf, &taken, 0, 0, 2);
    ZwClose(process);
    if (status < 0) return status;
    u32 basic[14] = {};  // OBJECT_BASIC_INFORMATION: attributes, granted access ...
    status = ZwQueryObject(taken, 0, basic, sizeof basic, nullptr);
    granted = basic[1];
    if (status < 0) ZwClose(taken);
    return status;
}

bool is_plain_file(void* handle) {
    u64 status[2] = {};
    u64 standard[3] = {};  // FILE_STANDARD_INFORMATION
    return ZwQueryInformationFile(handle, status, standard, sizeof standard, 5) >= 0;
}

}  // namespace

extern "C" {

NtStatus ObReferenceObjectByHandle(void* handle, u32 access, void* type, u8 mode, void** object,
                                   void* information) {
    if (mode == platform::ddk::kKernelMode) {
        return base_reference(handle, access, type, mode, object, information);
    }
    void* taken = nullptr;
    u32 granted = 0;
    NtStatus status = take_handle(handle, taken, granted);
    if (status < 0) return status;
    status = base_reference(taken, 0, type, platform::ddk::kKernelMode, object, information);
    if (status >= 0 && is_plain_file(taken)) static_cast<void**>(*object)[3] = foreign_context;
    ZwClose(taken);
    if (status < 0 || (access & ~granted) == 0) return status;
    base_dereference(*object);
    return static_cast<NtStatus>(0xC0000022);
}
u64 KeQueryInterruptTimePrecise(u64* counter) {
    if (counter != nullptr) *counter = 0;
    return KeQueryInterruptTime();
}
u64 KeQueryUnbiasedInterruptTimePrecise(u64* counter) {
    return KeQueryInterruptTimePrecise(counter);
}
void KeQuerySystemTimePrecise(u64* time) {
    i64 now = 0;
    KeQuerySystemTime(&now);
    *time = static_cast<u64>(now);
}
// Wine has neither: numbers that differ between processes, and a time in the past.
u64 PsGetProcessStartKey(void*) {
    return reinterpret_cast<u64>(PsGetCurrentProcessId()) << 32 | 1;
}
i64 PsGetThreadCreateTime(void*) {
    return 1;
}
u32 KeGetCurrentProcessorNumberEx(void*) {
    return 0;
}
u32 KeQueryMaximumProcessorCountEx(u16) {
    return 2;
}

Mdl* IoAllocateMdl(void*, u32 length, u8, u8, void*) {
    return new_mdl(length);
}
void IoFreeMdl(Mdl* mdl) {
    ntos_free(mdl);
}

Mdl* MmAllocatePagesForMdlEx(i64, i64, i64, std::size_t bytes, u32, u32) {
    const u64 pages = (bytes + kPage - 1) / kPage;
    const u64 whole = (pages + kGranule - 1) / kGranule * kGranule;
    u32 index = 0;
    while (index < kBlocks && blocks[index].section != nullptr) ++index;
    Mdl* mdl = index < kBlocks ? new_mdl(bytes) : nullptr;
    if (mdl == nullptr) return nullptr;
    const i64 size = static_cast<i64>(whole * kPage);
    if (ZwCreateSection(&blocks[index].section, 0xF001F, nullptr, &size, kExecuteReadWrite,
                        0x8000000, nullptr) < 0) {
        blocks[index].section = nullptr;
        ntos_free(mdl);
        return nullptr;
    }
    for (u64 i = 0; i < pages; ++i) page_frames(mdl)[i] = frame_of(index, whole - pages + i);
    mdl->flags = platform::ddk::kMdlPagesLocked;
    return mdl;
}
void MmFreePagesFromMdl(Mdl* mdl) {
    Block& block = block_of(page_frames(mdl)[0]);
    ZwClose(block.section);
    block.section = nullptr;
}

void* MmMapLockedPagesSpecifyCache(Mdl* mdl, u8 mode, u32, void*, u32, u32 priority) {
    View* const view = free_view();
    if (view == nullptr) return nullptr;
    *view = {};
    view->process = kSelf;
    const bool user = mode == platform::ddk::kUserMode;
    if (user) {
        view->owner = IoGetCurrentProcess();
        if (ObOpenObjectByPointer(view->owner, 0x200, nullptr, 0x1FFFFF, *process_type, 0,
                                  &view->process) < 0) {
            return nullptr;
        }
    }
    const bool read_only = user && (priority & platform::ddk::kMappingNoWrite) != 0;
    for (int attempt = 0; attempt < 8; ++attempt) {
        if (map_parts(*mdl, *view, user ? kReadWrite : kExecuteReadWrite,
                      read_only ? kReadOnly : kReadWrite)) {
            if (!user) mdl->mapped_system_va = view->at;
            return view->at;
        }
        unmap_parts(*view);
    }
    if (user) ZwClose(view->process);
    *view = {};
    return nullptr;
}
void MmUnmapLockedPages(void* address, Mdl*) {
    for (View& view : views) {
        if (view.at != address) continue;
        unmap_parts(view);
        if (view.process != kSelf) ZwClose(view.process);
        view = {};
        return;
    }
}
NtStatus MmProtectMdlSystemAddress(Mdl* mdl, u32 protection) {
    void* at = mdl->mapped_system_va;
    u64 size = pages_of(*mdl) * kPage;
    u32 before = 0;
    return ZwProtectVirtualMemory(kSelf, &at, &size, protection, &before);
}

// A view knows its process by a handle, wherever it is taken down.
void KeStackAttachProcess(void*, platform::ddk::ApcState*) {}
void KeUnstackDetachProcess(platform::ddk::ApcState*) {}

}  // extern "C"
