// SPDX-License-Identifier: MIT
#include "platform/irql.hpp"

#include "platform/windows_kernel/ddk.hpp"

namespace ebpf::platform {
namespace {

constexpr u32 kUnexpectedLevel = 0xC8;    // IRQL_UNEXPECTED_VALUE
constexpr u32 kManuallyInitiated = 0xE2;  // MANUALLY_INITIATED_CRASH

}  // namespace

void require_irql_at_most(Irql highest, const char* function) {
    const auto level = static_cast<u64>(current_irql());
    if (level <= static_cast<u64>(highest)) return;
    ddk::KeBugCheckEx(kUnexpectedLevel, level << 16 | static_cast<u64>(highest),
                      reinterpret_cast<u64>(function), 0, 0);
}

void require(bool holds, const char* what) {
    if (holds) return;
    ddk::KeBugCheckEx(kManuallyInitiated, reinterpret_cast<u64>(what), 0, 0, 0);
}

}  // namespace ebpf::platform
