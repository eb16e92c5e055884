// SPDX-License-Identifier: MIT
// What the driver and its clients agree on: the device's names and its controls.
#pragma once

#include "base/types.hpp"

namespace ebpf::products::device {

// Clients open kPath. kServicePath, a device of its own, is for the trusted service: whoever may
// load drivers can run any code in the kernel already, so the privilege to do that
// (SeLoadDriverPrivilege, enabled in the caller's token) and nothing less opens the way to
// PROG_INSTALL.
inline constexpr wchar_t kDeviceName[] = L"\\Device\\ebpfcore";
inline constexpr wchar_t kLinkName[] = L"\\DosDevices\\ebpfcore";
inline constexpr wchar_t kPath[] = L"\\\\.\\ebpfcore";
inline constexpr wchar_t kServiceDeviceName[] = L"\\Device\\ebpfcore_service";
inline constexpr wchar_t kServiceLinkName[] = L"\\DosDevices\\ebpfcore_service";
inline constexpr wchar_t kServicePath[] = L"\\\\.\\ebpfcore_service";

// CTL_CODE(FILE_DEVICE_NETWORK, function, METHOD_BUFFERED, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
constexpr u32 control(u32 function) {
    return u32{0x12} << 16 | u32{3} << 14 | function << 2;
}
// Input: a request of wire/message.hpp, whose descriptors are handles of the process (their lower
// 32 bits; 0 is none). Output: the reply, with room for its largest size. A command whose result is
// a new descriptor is sent through a file that was just opened: when the result is 1, the file is
// the object's from then on, and its handle the descriptor.
inline constexpr u32 kMessage = control(0x900);
// Output: Statistics.
inline constexpr u32 kStatistics = control(0x901);

// What exists now; for administrators and tests of leaks.
struct Statistics {
    u64 files = 0;  // open files of the devices
    u64 maps = 0;
    u64 links = 0;
    u64 programs = 0;
    u64 allocations = 0;  // blocks of the pool
};

// RING_WAIT waits at most this long in the driver, whatever is asked for: a thread that waits there
// cannot be ended. A longer wait is the client's loop.
inline constexpr i32 kMaxWaitMs = 1000;

}  // namespace ebpf::products::device
