// SPDX-License-Identifier: MIT
//
// The kernel runs a classic BPF program over every system call's number and arguments
// (seccomp(2), struct seccomp_data). Ours is made from a table: a number is allowed as it is, or
// when one argument is right. Everything else kills the whole process: there is no call that fails
// softly and lets an attacker try the next one. The tables are short enough to be read whole; a
// library for it would be one more thing that runs with the daemon's rights.
#include "platform/linux/system_call_filter.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "base/sanitized.hpp"

namespace ebpf::platform {
namespace {

#if defined(__x86_64__)
constexpr u32 kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr u32 kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr u32 kArchitecture = 0;  // no such machine: every call is refused
#endif

// What must hold of an argument (its low half: all that these calls look at).
enum class Rule : u8 {
    Always,
    NotExecutable,  // argument 2 is a protection without PROT_EXEC
    OnDescriptor,   // argument 0 is the descriptor
};
struct Row {
    u32 number;
    Rule rule = Rule::Always;
};

constexpr Row kWorker[] = {
#if CASEMENT_SANITIZED
    // What sanitizers' run time does besides; it looks at memory by writing it to a pipe.
    {SYS_read},
    {SYS_write},
    {SYS_pipe2},
    {SYS_close},
    {SYS_gettid},
    {SYS_getpid},
    {SYS_sigaltstack},
    {SYS_rt_sigprocmask},
    {SYS_rt_sigaction},
    {SYS_rt_sigreturn},
    {SYS_sched_yield},
#endif
    {SYS_read, Rule::OnDescriptor},
    {SYS_write, Rule::OnDescriptor},
    {SYS_mmap, Rule::NotExecutable},
    {SYS_mprotect, Rule::NotExecutable},
    {SYS_munmap},
    {SYS_mremap},
    {SYS_madvise},
    {SYS_brk},
    {SYS_futex},
    {SYS_clock_gettime},
    {SYS_getrandom},  // glibc's allocator, at its first use
    {SYS_exit},
    {SYS_exit_group},
};

// Its filter holds for its workers too, in addition to theirs.
constexpr Row kZygoteOnly[] = {
    {SYS_read},
    {SYS_write},
    {SYS_recvmsg, Rule::OnDescriptor},
    {SYS_sendto, Rule::OnDescriptor},
    {SYS_ppoll},
    {SYS_clone},
    {SYS_pidfd_open},
    {SYS_wait4},
    {SYS_close},
    {SYS_close_range},
    {SYS_prctl},
    {SYS_seccomp},
    {SYS_prlimit64},
    {SYS_rt_sigprocmask},
    {SYS_rt_sigaction},
    {SYS_rt_sigreturn},
    {SYS_set_robust_list},
    {SYS_rseq},
    {SYS_gettid},
    {SYS_getpid},
#if defined(__x86_64__)
    {SYS_poll},  // the others have ppoll(2) only
#endif
};

class Program {
  public:
    Program() {
        load(offsetof(seccomp_data, arch));
        put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
        put(kill());
        load(offsetof(seccomp_data, nr));
    }

    // The number is in the accumulator before and after.
    void allow(const Row& row, u32 descriptor) {
        constexpr u32 kFirstArgument = offsetof(seccomp_data, args);
        switch (row.rule) {
            case Rule::Always:
                put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row.number, 0, 1));
                put(kAllow);
                return;
            case Rule::NotExecutable:
                put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row.number, 0, 4));
                load(kFirstArgument + 2 * sizeof(u64));
                put(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
                put(kill());
                put(kAllow);
                return;
            case Rule::OnDescriptor:
                put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row.number, 0, 4));
                load(kFirstArgument);
                put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, descriptor, 1, 0));
                put(kill());
                put(kAllow);
                return;
        }
    }

    Status install() {
        put(kill());
        const sock_fprog program{.len = static_cast<unsigned short>(size_), .filter = code_.data()};
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0) return {};
        return fail(Errc::Failed, {}, "filter of system calls", static_cast<u64>(errno));
    }

  private:
    static constexpr sock_filter kAllow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    static constexpr sock_filter kill() {
        return BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    }
    void load(u32 offset) { put(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); }
    void put(const sock_filter& instruction) { code_[size_++] = instruction; }

    std::array<sock_filter, 256> code_{};
    std::size_t size_ = 0;
};

}  // namespace

Status install_filter(Filter filter, i32 descriptor) {
    Program program;
    if (filter == Filter::Zygote) {
        for (const Row& row : kZygoteOnly) program.allow(row, static_cast<u32>(descriptor));
    }
    for (const Row& row : kWorker) {
        // The zygote reads and writes through its workers' descriptors too: allowed above.
        program.allow(row, static_cast<u32>(descriptor));
    }
    return program.install();
}

}  // namespace ebpf::platform
