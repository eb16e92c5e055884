// SPDX-License-Identifier: MIT
//
// The order matters. Name spaces come with clone(2), before the program starts: process ids cannot
// be left behind otherwise. User name spaces only where we are not root: root becomes nobody, which
// is more, and a mapped root would still own root's files. The program is started anew because only
// that leaves our memory behind. Then the root directory, the user, the capabilities; the filter is
// last, since it forbids all of these.
//
// Between clone and execve only system calls are made: the caller may have other threads, whose
// locks are held for ever in the new process.
#include "platform/sandbox.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/sanitized.hpp"
#include "platform/linux/system_call_filter.hpp"

namespace ebpf::platform {
namespace {

constexpr int kNameSpaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
constexpr u32 kHasNameSpaces = 1;
constexpr u32 kHasUserNameSpace = 2;
constexpr u32 kErrnoShift = 8;  // what the name spaces were refused with
constexpr uid_t kNobody = 65534;
constexpr int kControl = 3;

std::unexpected<Error> failed(const char* what) {
    return fail(Errc::Failed, {}, what, static_cast<u64>(errno));
}

// --- between clone and execve --------------------------------------------------------------------

void write_file(const char* path, const char* text, std::size_t size) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!write(fd, text, size);
    close(fd);
}

// Without a mapping of our user the new program would start without capabilities in its name space.
void map_user(uid_t user, gid_t group) {
    char line[32];
    write_file("/proc/self/setgroups", "deny", 4);
    int size = std::snprintf(line, sizeof line, "0 %u 1", user);
    write_file("/proc/self/uid_map", line, static_cast<std::size_t>(size));
    size = std::snprintf(line, sizeof line, "0 %u 1", group);
    write_file("/proc/self/gid_map", line, static_cast<std::size_t>(size));
}

[[noreturn]] void start_program(const char* program, char* const* arguments, int control,
                                bool keep_stderr) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0) {
        dup2(nowhere, STDIN_FILENO);
        dup2(nowhere, STDOUT_FILENO);
        if (!keep_stderr) dup2(nowhere, STDERR_FILENO);
    }
    if (control == kControl)
        fcntl(control, F_SETFD, 0);
    else
        dup2(control, kControl);
    syscall(SYS_close_range, kControl + 1, ~0u, 0);
    char* no_environment[] = {nullptr};
    execve(program, arguments, no_environment);
    _exit(127);
}

// fork() with name spaces: glibc has no function for it.
pid_t fork_into(int name_spaces) {
    return static_cast<pid_t>(
        syscall(SYS_clone, static_cast<long>(name_spaces | SIGCHLD), 0L, 0L, 0L, 0L));
}

// --- the zygote ----------------------------------------------------------------------------------

// An empty, read-only file system instead of all others.
bool leave_files() {
    const char* const place = "/proc";  // any directory that exists
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    if (mount("none", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=555") != 0)
        return false;
    if (chdir(place) != 0) return false;
    if (syscall(SYS_pivot_root, ".", ".") != 0) return false;
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return false;
    return mount(nullptr, "/", nullptr,
                 MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

bool become_nobody() {
    return setgroups(0, nullptr) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 &&
           setresuid(kNobody, kNobody, kNobody) == 0;
}

void drop_capabilities() {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
    (void)syscall(SYS_capset, &header, none.data());
}

bool limit(__rlimit_resource_t resource, u64 soft, u64 hard) {
    const rlimit value{.rlim_cur = soft, .rlim_max = hard};
    return setrlimit(resource, &value) == 0;
}

}  // namespace

Result<ConfinedProcess> start_confined(const char* program, std::span<const char* const> arguments,
                                       bool keep_stderr) {
    std::array<const char*, 18> list{program};
    if (arguments.size() > list.size() - 4) return fail(Errc::InvalidArgument, {}, "arguments");
    std::size_t count = 1;
    for (const char* argument : arguments) list[count++] = argument;
    char control[12];
    std::array<char, 12> layers{};
    std::snprintf(control, sizeof control, "%d", kControl);
    list[count++] = control;
    list[count++] = layers.data();

    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return failed("socket of a process");
    const uid_t user = geteuid();
    const gid_t group = getegid();
    int refused = 0;
    pid_t pid = -1;
    for (const bool spaces : {true, false}) {
        const bool own_users = spaces && user != 0;
        const u32 number = (spaces ? kHasNameSpaces : 0) | (own_users ? kHasUserNameSpace : 0) |
                           static_cast<u32>(refused) << kErrnoShift;
        std::snprintf(layers.data(), layers.size(), "%u", number);
        pid = fork_into(spaces ? kNameSpaces | (own_users ? CLONE_NEWUSER : 0) : 0);
        if (pid == 0) {
            if (own_users) map_user(user, group);
            start_program(program, const_cast<char* const*>(list.data()), pair[1], keep_stderr);
        }
        if (pid > 0) break;
        refused = errno;
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        errno = refused;
        return failed("process");
    }
    return ConfinedProcess{.pid = pid, .control = pair[0]};
}

Result<Confinement> become_zygote(i32 control, u32 layers) {
    Confinement out{.refused = static_cast<i32>(layers >> kErrnoShift)};
    out.user = (layers & kHasUserNameSpace) != 0;
    out.processes = out.network = out.ipc = (layers & kHasNameSpaces) != 0;
    if (out.processes) {
        out.files = leave_files();
        if (!out.files && out.refused == 0) out.refused = errno;
    }
    if (!out.user && geteuid() == 0) {
        out.other_user = become_nobody();
        if (!out.other_user && out.refused == 0) out.refused = errno;
    }
    drop_capabilities();
    if (!limit(RLIMIT_CORE, 0, 0) || !limit(RLIMIT_FSIZE, 0, 0) || !limit(RLIMIT_MEMLOCK, 0, 0) ||
        !limit(RLIMIT_NOFILE, 16, 16))
        return failed("limits of a process");
    // Nobody reads our memory through /proc, and no set-user-id program gives rights back.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed("rights of a process");
    // Its name spaces end with it.
    syscall(SYS_close_range, static_cast<unsigned>(control) + 1, ~0u, 0);
    TRY(install_filter(Filter::Zygote, control));
    out.filter = true;
    return out;
}

Status become_worker(i32 descriptor, const WorkerLimits& limits) {
    // Where it has no process name space of its own, nobody else ends it with its parent.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return failed("signal of a worker");
    if (descriptor > 0) syscall(SYS_close_range, 0, static_cast<unsigned>(descriptor) - 1, 0);
    syscall(SYS_close_range, static_cast<unsigned>(descriptor) + 1, ~0u, 0);
    if (!limit(RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1) ||
        !limit(RLIMIT_NPROC, 0, 0) ||
        (!kSanitized && (!limit(RLIMIT_NOFILE, 0, 0) ||
                         !limit(RLIMIT_AS, limits.memory_bytes, limits.memory_bytes))))
        return failed("limits of a worker");
    return install_filter(Filter::Worker, descriptor);
}

std::size_t describe_wait_status(i32 status, std::span<char> out) {
    int size = 0;
    if (WIFSIGNALED(status)) {
        const char* const name = sigabbrev_np(WTERMSIG(status));
        size = std::snprintf(out.data(), out.size(), "signal %d (%s)", WTERMSIG(status),
                             name ? name : "?");
    } else {
        size = std::snprintf(out.data(), out.size(), "exit status %d", WEXITSTATUS(status));
    }
    return size < 0 ? 0 : std::min(static_cast<std::size_t>(size), out.size() - 1);
}

}  // namespace ebpf::platform
