// SPDX-License-Identifier: MIT
//
// The part of the I/O manager's interface that the driver uses, for x64, beside what
// platform/windows_kernel/ddk.hpp declares and for its reasons. The offsets are those of wdm.h
// (tests/wine compares them with mingw-w64's).
#pragma once

#include "platform/windows_kernel/ddk.hpp"

namespace ebpf::products::wdk {

using NtStatus = platform::ddk::NtStatus;

inline constexpr NtStatus kSuccess = 0;
inline constexpr NtStatus kInvalidHandle = static_cast<NtStatus>(0xC0000008);
inline constexpr NtStatus kInvalidParameter = static_cast<NtStatus>(0xC000000D);
inline constexpr NtStatus kInvalidDeviceRequest = static_cast<NtStatus>(0xC0000010);
inline constexpr NtStatus kAccessDenied = static_cast<NtStatus>(0xC0000022);
inline constexpr NtStatus kBufferTooSmall = static_cast<NtStatus>(0xC0000023);
inline constexpr NtStatus kObjectNameNotFound = static_cast<NtStatus>(0xC0000034);
inline constexpr NtStatus kInsufficientResources = static_cast<NtStatus>(0xC000009A);

struct UnicodeString {
    u16 length = 0;  // bytes
    u16 capacity = 0;
    const wchar_t* text = nullptr;
};
template <std::size_t N>
constexpr UnicodeString unicode(const wchar_t (&text)[N]) {
    return {static_cast<u16>((N - 1) * sizeof(wchar_t)), static_cast<u16>(N * sizeof(wchar_t)),
            text};
}

struct DeviceObject;

struct FileObject {
    std::byte before_device[8];
    DeviceObject* device;
    std::byte before_context[8];
    void* context;  // FsContext
    std::byte before_name[56];
    UnicodeString name;
};
static_assert(offsetof(FileObject, context) == 24 && offsetof(FileObject, name) == 88);

struct StackLocation {
    u8 major;
    u8 minor, flags, control;
    alignas(8) u32 output_length;  // Parameters.DeviceIoControl
    alignas(8) u32 input_length;
    alignas(8) u32 code;
    alignas(8) void* type3_input;
    DeviceObject* device;
    FileObject* file;
    void* completion[2];
};
static_assert(offsetof(StackLocation, file) == 48 && sizeof(StackLocation) == 72);

struct Irp {
    std::byte before_buffer[24];
    void* system_buffer;
    std::byte before_status[16];
    NtStatus status;
    u64 information;
    u8 requestor_mode;
    std::byte before_location[119];
    StackLocation* location;  // Tail.Overlay.CurrentStackLocation
};
static_assert(offsetof(Irp, system_buffer) == 24 && offsetof(Irp, status) == 48 &&
              offsetof(Irp, requestor_mode) == 64 && offsetof(Irp, location) == 184);

struct DriverObject;
using Dispatch = NtStatus (*)(DeviceObject* device, Irp* irp);
inline constexpr int kCreate = 0, kClose = 2, kDeviceControl = 14, kCleanup = 18;

struct DriverObject {
    std::byte before_device[8];
    DeviceObject* device;
    std::byte before_unload[88];
    void (*unload)(DriverObject* driver);
    Dispatch major[28];
};
static_assert(offsetof(DriverObject, unload) == 104 && offsetof(DriverObject, major) == 112);

inline constexpr u32 kDeviceTypeNetwork = 0x12;
inline constexpr u32 kSecureOpen = 0x100;        // FILE_DEVICE_SECURE_OPEN
inline constexpr u32 kKernelHandle = 0x200;      // OBJ_KERNEL_HANDLE
inline constexpr u32 kWriteDac = 0x40000;        // WRITE_DAC
inline constexpr u32 kDaclInformation = 4;       // DACL_SECURITY_INFORMATION
inline constexpr u64 kLoadDriverPrivilege = 10;  // SE_LOAD_DRIVER_PRIVILEGE, an LUID
inline constexpr u32 kFileReadData = 1, kFileWriteData = 2;

extern "C" {
NtStatus IoCreateDevice(DriverObject* driver, u32 extension, const UnicodeString* name, u32 type,
                        u32 characteristics, u8 exclusive, DeviceObject** device);
void IoDeleteDevice(DeviceObject* device);
NtStatus IoCreateSymbolicLink(const UnicodeString* link, const UnicodeString* target);
NtStatus IoDeleteSymbolicLink(const UnicodeString* link);
void IofCompleteRequest(Irp* irp, i8 boost);
NtStatus ObOpenObjectByPointer(void* object, u32 attributes, void* state, u32 access, void* type,
                               u8 mode, void** handle);
NtStatus ZwSetSecurityObject(void* handle, u32 what, const void* descriptor);
NtStatus ZwClose(void* handle);
u8 SeSinglePrivilegeCheck(u64 privilege, u8 mode);
NtStatus ObReferenceObjectByHandle(void* handle, u32 access, void* type, u8 mode, void** object,
                                   void* information);
__declspec(dllimport) extern void* IoFileObjectType;
}

}  // namespace ebpf::products::wdk
