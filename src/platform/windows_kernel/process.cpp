// SPDX-License-Identifier: MIT
#include "platform/process.hpp"

#include <cstring>

#include "platform/filetime.hpp"
#include "platform/windows_kernel/ddk.hpp"

namespace ebpf::platform {

bool read_memory(u64, MutableBytes to) {
    return to.empty();
}

std::optional<UserAndGroup> current_user_and_group() {
    return {};
}

bool current_thread_name(std::span<char> name) {
    std::memset(name.data(), 0, name.size());
    return false;
}

u32 current_numa_node() {
    return 0;
}

u64 atomic_time_ns() {
    u64 now = 0;
    ddk::KeQuerySystemTimePrecise(&now);
    return (now - kFrom1601To1970) * 100;
}

u64 process_start_key() {
    return ddk::PsGetProcessStartKey(ddk::IoGetCurrentProcess());
}

i64 thread_create_time() {
    return ddk::PsGetThreadCreateTime(ddk::KeGetCurrentThread());
}

bool in_pid_namespace(u64, u64) {
    return false;
}

}  // namespace ebpf::platform
