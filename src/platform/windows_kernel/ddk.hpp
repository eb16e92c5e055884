// SPDX-License-Identifier: MIT
//
// The part of the Windows kernel's interface that platform/ uses, declared by ourselves: the DDK
// headers of mingw-w64 are of an old Windows, clash with C++ and lack what is newer. Each function
// is documented by Microsoft under its name and exported by build 17763 (Server 2019); ntoskrnl.def
// and cng.def name them again, for the linker and as the list of what an image may import.
#pragma once

#include "base/types.hpp"

namespace ebpf::platform::ddk {

using NtStatus = i32;
constexpr bool succeeded(NtStatus status) {
    return status >= 0;
}
inline constexpr NtStatus kTimeout = 0x102;

// Pool types and tags.
inline constexpr i32 kNonPagedPoolNx = 512;
inline constexpr u32 kPoolTag = 0x46504265;  // "eBPF"

// A memory descriptor list; the page frame numbers follow the structure.
struct Mdl {
    Mdl* next;
    i16 size;
    i16 flags;
    void* process;
    void* mapped_system_va;
    void* start_va;
    u32 byte_count;
    u32 byte_offset;
};
static_assert(sizeof(Mdl) == 48);
inline constexpr i16 kMdlPagesLocked = 0x0002;

inline u64* page_frames(Mdl* mdl) {
    return reinterpret_cast<u64*>(mdl + 1);
}

inline constexpr u32 kAllocateFully = 0x4;  // MM_ALLOCATE_FULLY_REQUIRED
inline constexpr u32 kCached = 1;           // MmCached
inline constexpr u8 kKernelMode = 0;
inline constexpr u8 kUserMode = 1;
inline constexpr u32 kNormalPriority = 16;             // NormalPagePriority
inline constexpr u32 kMappingNoExecute = 0x4000'0000;  // MdlMappingNoExecute
inline constexpr u32 kMappingNoWrite = 0x8000'0000;    // MdlMappingNoWrite
inline constexpr u32 kPageExecuteRead = 0x20;

// KEVENT: its DISPATCHER_HEADER and list, which nobody but the kernel looks into.
struct Event {
    alignas(8) u8 opaque[24];
};
// KAPC_STATE, which only the kernel looks into.
struct ApcState {
    alignas(8) u8 opaque[48];
};
// KTIMER and KDPC, which only the kernel looks into.
struct Timer {
    alignas(8) u8 opaque[64];
};
struct Dpc {
    alignas(8) u8 opaque[64];
};
inline constexpr i32 kNotificationEvent = 0;
inline constexpr i32 kExecutive = 0;  // wait reason

inline constexpr u16 kAllGroups = 0xFFFF;
inline constexpr u32 kSystemPreferredRng = 2;

extern "C" {
void* ExAllocatePoolWithTag(i32 pool_type, std::size_t size, u32 tag);
void ExFreePoolWithTag(void* memory, u32 tag);
void ExFreePool(void* memory);

Mdl* IoAllocateMdl(void* address, u32 length, u8 secondary, u8 charge_quota, void* irp);
void IoFreeMdl(Mdl* mdl);
Mdl* MmAllocatePagesForMdlEx(i64 low, i64 high, i64 skip, std::size_t bytes, u32 cache, u32 flags);
void MmFreePagesFromMdl(Mdl* mdl);
void* MmMapLockedPagesSpecifyCache(Mdl* mdl, u8 mode, u32 cache, void* address, u32 bug_check,
                                   u32 priority);
void MmUnmapLockedPages(void* address, Mdl* mdl);
NtStatus MmProtectMdlSystemAddress(Mdl* mdl, u32 protection);

void* IoGetCurrentProcess();
i64 ObfReferenceObject(void* object);
i64 ObfDereferenceObject(void* object);
void KeStackAttachProcess(void* process, ApcState* state);
void KeUnstackDetachProcess(ApcState* state);

void KeInitializeEvent(Event* event, i32 type, u8 state);
i32 KeSetEvent(Event* event, i32 increment, u8 wait);
NtStatus KeWaitForSingleObject(void* object, i32 reason, u8 mode, u8 alertable, const i64* timeout);

void KeInitializeTimer(Timer* timer);
void KeInitializeDpc(Dpc* dpc, void (*routine)(Dpc*, void*, void*, void*), void* context);
u8 KeSetTimer(Timer* timer, i64 due, Dpc* dpc);
u8 KeCancelTimer(Timer* timer);
void KeFlushQueuedDpcs();

u32 KeQueryMaximumProcessorCountEx(u16 group);
u32 KeGetCurrentProcessorNumberEx(void* number);
u64 KeQueryInterruptTimePrecise(u64* performance_counter);
u64 KeQueryUnbiasedInterruptTimePrecise(u64* performance_counter);
void KeQuerySystemTimePrecise(u64* time);
void* KeGetCurrentThread();
u64 PsGetProcessStartKey(void* process);
i64 PsGetThreadCreateTime(void* thread);
void* PsGetCurrentProcessId();
void* PsGetCurrentThreadId();
[[noreturn]] void KeBugCheckEx(u32 code, u64 a, u64 b, u64 c, u64 d);

NtStatus BCryptGenRandom(void* algorithm, u8* buffer, u32 size, u32 flags);
}

}  // namespace ebpf::platform::ddk

namespace ebpf::platform {
struct RingMemory;
// The descriptor list that maps a ring: a page of its own, RingMemory's pages, the data's again.
ddk::Mdl* ring_mapping(const RingMemory& ring);
}  // namespace ebpf::platform
