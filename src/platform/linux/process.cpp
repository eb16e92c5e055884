// SPDX-License-Identifier: MIT
#include "platform/process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "platform/filetime.hpp"
#include "platform/linux/clock.hpp"
#include "platform/system.hpp"

namespace ebpf::platform {
namespace {

// When a process or thread was started, in the system's ticks since its own start: the 22nd field
// of `path`, counted behind the name, which may hold anything ("proc_pid_stat(5)"). 0: not known.
u64 start_ticks(const char* path) {
    constexpr int kFieldsBehindName = 20;
    char text[1024];
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    if (file >= 0) close(file);
    text[size > 0 ? size : 0] = '\0';
    const char* at = std::strrchr(text, ')');
    for (int field = 0; at != nullptr && field < kFieldsBehindName; ++field) {
        at = std::strchr(at + 1, ' ');
    }
    return at != nullptr ? std::strtoull(at, nullptr, 10) : 0;
}

}  // namespace

bool read_memory(u64 address, MutableBytes to) {
    if (to.empty()) return true;
    const iovec here{to.data(), to.size()};
    const iovec there{reinterpret_cast<void*>(address), to.size()};
    const ssize_t copied = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    return copied == static_cast<ssize_t>(to.size());
}

std::optional<UserAndGroup> current_user_and_group() {
    return UserAndGroup{getuid(), getgid()};
}

bool current_thread_name(std::span<char> name) {
    char whole[16] = {};  // what the system keeps
    prctl(PR_GET_NAME, whole);
    std::memset(name.data(), 0, name.size());
    const std::size_t fits = name.size() - 1 < sizeof whole ? name.size() - 1 : sizeof whole;
    std::memcpy(name.data(), whole, fits);
    return true;
}

u32 current_numa_node() {
    unsigned node = 0;
    syscall(SYS_getcpu, nullptr, &node, nullptr);
    return node;
}

u64 atomic_time_ns() {
    return clock_ns(CLOCK_TAI);
}

u64 process_start_key() {
    static thread_local pid_t of = 0;  // after fork() another process asks
    static thread_local u64 ticks = 0;
    if (const pid_t process = getpid(); of != process) {
        ticks = start_ticks("/proc/self/stat");
        of = process;
    }
    return static_cast<u64>(of) << 32 | (ticks & 0xffffffff);
}

i64 thread_create_time() {
    static thread_local const u64 ticks = start_ticks("/proc/thread-self/stat");
    if (ticks == 0) return 0;
    const u64 since_boot = ticks * (10'000'000 / static_cast<u64>(sysconf(_SC_CLK_TCK)));
    static thread_local const u64 boot =
        (clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME)) / 100 + kFrom1601To1970;
    return static_cast<i64>(boot + since_boot);
}

bool in_pid_namespace(u64 device, u64 inode) {
    struct stat found{};
    if (stat("/proc/self/ns/pid", &found) != 0) return false;
    return found.st_dev == device && found.st_ino == inode;
}

}  // namespace ebpf::platform
