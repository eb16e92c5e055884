// SPDX-License-Identifier: MIT
#include "platform/process.hpp"

#include <windows.h>

#include <algorithm>

#include "platform/filetime.hpp"

namespace ebpf::platform {
namespace {

u64 ticks(const FILETIME& time) {
    return u64{time.dwHighDateTime} << 32 | time.dwLowDateTime;
}

}  // namespace

bool read_memory(u64 address, MutableBytes to) {
    SIZE_T copied = 0;
    const bool read = ReadProcessMemory(GetCurrentProcess(), reinterpret_cast<const void*>(address),
                                        to.data(), to.size(), &copied) != 0;
    return to.empty() || (read && copied == to.size());
}

std::optional<UserAndGroup> current_user_and_group() {
    return {};
}

// Threads' names are rare here: the program's file name, without its folder.
bool current_thread_name(std::span<char> name) {
    char path[MAX_PATH] = {};
    const DWORD size = GetModuleFileNameA(nullptr, path, sizeof path - 1);
    const char* file = path + size;
    while (file != path && file[-1] != '\\') --file;
    const std::size_t fits =
        std::min(name.size() - 1, static_cast<std::size_t>(path + size - file));
    std::fill(name.begin(), name.end(), '\0');
    std::copy_n(file, fits, name.begin());
    return true;
}

u32 current_numa_node() {
    PROCESSOR_NUMBER number{};
    USHORT node = 0;
    GetCurrentProcessorNumberEx(&number);
    return GetNumaProcessorNodeEx(&number, &node) && node != 0xFFFF ? node : 0;
}

u64 atomic_time_ns() {
    FILETIME now{};
    GetSystemTimePreciseAsFileTime(&now);
    return (ticks(now) - kFrom1601To1970) * 100;
}

u64 process_start_key() {
    FILETIME created{}, exited{}, kernel{}, user{};
    GetProcessTimes(GetCurrentProcess(), &created, &exited, &kernel, &user);
    return u64{GetCurrentProcessId()} << 40 ^ ticks(created);
}

i64 thread_create_time() {
    FILETIME created{}, exited{}, kernel{}, user{};
    GetThreadTimes(GetCurrentThread(), &created, &exited, &kernel, &user);
    return static_cast<i64>(ticks(created));
}

bool in_pid_namespace(u64, u64) {
    return false;
}

}  // namespace ebpf::platform
