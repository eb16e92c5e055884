// SPDX-License-Identifier: MIT
//
// Helpers that say who runs, and those that read the memory of who runs by address. In a process of
// its own (the embedded shape, the service) there is one address space, so that "kernel" and "user"
// mean the same memory.
#include "platform/memory.hpp"
#include "platform/process.hpp"
#include "runtime/helper_call.hpp"
#include "runtime/read_text.hpp"

namespace ebpf::runtime {

u64 read_text(u64 address, std::span<char> out) {
    for (u64 done = 0; done < out.size();) {
        // Up to the end of a page, so that a text which ends there is found.
        const u64 page_left = platform::kPageSize - (address + done) % platform::kPageSize;
        const u64 room = out.size() - done;
        const auto part = out.subspan(done, page_left < room ? page_left : room);
        if (!platform::read_memory(address + done, std::as_writable_bytes(part))) return 0;
        for (const char& c : part) {
            if (c == '\0') return static_cast<u64>(&c - out.data()) + 1;
        }
        done += part.size();
    }
    if (!out.empty()) out.back() = '\0';
    return out.size();
}

namespace {

// --- who runs ------------------------------------------------------------------------------------

HELPER_FUNCTION(get_current_pid_tgid) {
    return platform::current_process_and_thread();
}

HELPER_FUNCTION(get_current_uid_gid) {
    const auto ids = platform::current_user_and_group();
    if (!ids) return returned(invocation, Errc::InvalidArgument);
    return u64{ids->group} << 32 | ids->user;
}

HELPER_FUNCTION(get_current_comm) {
    const std::span name(memory<char>(r1), r2 & 0xffffffff);
    return platform::current_thread_name(name) ? 0 : returned(invocation, Errc::InvalidArgument);
}

// struct bpf_pidns_info
struct PidAndTgid {
    u32 pid, tgid;
};

HELPER_FUNCTION(get_ns_current_pid_tgid) {
    const u64 size = r4 & 0xffffffff;
    std::memset(memory(r3), 0, size);
    if (size != sizeof(PidAndTgid) || !platform::in_pid_namespace(r1, r2)) {
        return returned(invocation, Errc::InvalidArgument);
    }
    const u64 both = platform::current_process_and_thread();
    const PidAndTgid found{static_cast<u32>(both), static_cast<u32>(both >> 32)};
    std::memcpy(memory(r3), &found, sizeof found);
    return 0;
}

HELPER_FUNCTION(get_numa_node_id) {
    return platform::current_numa_node();
}

HELPER_FUNCTION(get_current_process_start_key) {
    return platform::process_start_key();
}

HELPER_FUNCTION(get_current_thread_create_time) {
    return static_cast<u64>(platform::thread_create_time());
}

// What eBPF for Windows answers where the program's thread cannot be preempted, as here always.
HELPER_FUNCTION(get_current_logon_id) {
    return 0;
}
HELPER_FUNCTION(is_current_admin) {
    return ~u64{0};
}

// --- its memory ----------------------------------------------------------------------------------

HELPER_FUNCTION(probe_read) {
    const MutableBytes out(memory<std::byte>(r1), r2 & 0xffffffff);
    if (platform::read_memory(r3, out)) return 0;
    if (!out.empty()) std::memset(out.data(), 0, out.size());
    return returned(invocation, Errc::InvalidPointer);
}

// The bytes with their NUL. What lies behind it is zero, so that a program finds nothing there that
// it did not ask for.
HELPER_FUNCTION(probe_read_str) {
    const std::span out(memory<char>(r1), r2 & 0xffffffff);
    if (out.empty()) return 0;
    const u64 size = read_text(r3, out);
    std::memset(out.data() + size, 0, out.size() - size);
    return size != 0 ? size : returned(invocation, Errc::InvalidPointer);
}

constexpr HelperRow kRows[] = {
    HELPER_ROW(get_current_pid_tgid),
    HELPER_ROW(get_current_uid_gid),
    HELPER_ROW(get_current_comm),
    HELPER_ROW(get_ns_current_pid_tgid),
    HELPER_ROW(get_numa_node_id),
    HELPER_ROW(get_current_process_start_key),
    HELPER_ROW(get_current_thread_create_time),
    HELPER_ROW(get_current_logon_id),
    HELPER_ROW(is_current_admin),
    HELPER_ROW(probe_read),
    {spec::Helper::probe_read_user, helper_probe_read},
    {spec::Helper::probe_read_kernel, helper_probe_read},
    {spec::Helper::copy_from_user, helper_probe_read},
    HELPER_ROW(probe_read_str),
    {spec::Helper::probe_read_user_str, helper_probe_read_str},
    {spec::Helper::probe_read_kernel_str, helper_probe_read_str},
};

}  // namespace

std::span<const HelperRow> process_helpers() {
    return kRows;
}

}  // namespace ebpf::runtime
