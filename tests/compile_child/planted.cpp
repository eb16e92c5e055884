// SPDX-License-Identifier: MIT
//
// The compiling child as if a program had taken it over: a job whose name begins with "plant:"
// makes it do what an attacker would try. Every one of these must end the process or fail; one that
// works answers with an outcome whose log begins with "ESCAPED". Before the system's headers, one
// of which defines MAP_TYPE.
#include "products/compile_child/child.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>

using namespace ebpf;

namespace {

engine::CompileOutcome escaped(const char* how) {
    return engine::failed_outcome(fail(Errc::Failed).error(), std::string("ESCAPED: ") + how);
}
// What failed softly: the sandbox would have held, but by luck.
engine::CompileOutcome refused() {
    return engine::failed_outcome(fail(Errc::AccessDenied).error(), "refused\n");
}
engine::CompileOutcome result_of(long value, const char* what) {
    return value >= 0 ? escaped(what) : refused();
}

engine::CompileOutcome open_file() {
    return result_of(open("/etc/passwd", O_RDONLY), "opened a file");
}
engine::CompileOutcome make_socket() {
    return result_of(socket(AF_INET, SOCK_STREAM, 0), "made a socket");
}
engine::CompileOutcome make_unix_socket() {
    return result_of(socket(AF_UNIX, SOCK_STREAM, 0), "made a socket");
}
engine::CompileOutcome trace_parent() {
    return result_of(ptrace(PTRACE_ATTACH, getppid(), nullptr, nullptr), "traced its parent");
}
engine::CompileOutcome kill_parent() {
    return result_of(kill(getppid(), SIGKILL), "killed its parent");
}
engine::CompileOutcome kill_all() {
    return result_of(kill(-1, SIGTERM), "killed everybody");
}
engine::CompileOutcome executable() {
    void* const at =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? refused() : escaped("mapped executable memory");
}
engine::CompileOutcome executable_later() {
    void* const at =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return refused();
    return result_of(mprotect(at, 4096, PROT_READ | PROT_EXEC), "made memory executable");
}
engine::CompileOutcome fork_off() {
    return result_of(fork(), "forked");
}
engine::CompileOutcome start_program() {
    char* const none[] = {nullptr};
    return result_of(execve("/bin/sh", none, none), "started a program");
}
engine::CompileOutcome other_descriptor() {
    char byte = 0;
    return result_of(read(3, &byte, 1), "read the control socket");
}
engine::CompileOutcome load_bpf() {
    return result_of(syscall(SYS_bpf, 0, nullptr, 0), "called bpf(2)");
}
engine::CompileOutcome allocate() {
    std::vector<std::unique_ptr<char[]>> blocks;  // bad_alloc is caught by who calls
    for (int i = 0; i < 1 << 14; ++i) {
        blocks.emplace_back(new char[1 << 20]);
        std::memset(blocks.back().get(), 1, 1 << 20);
    }
    return escaped("took 16 GiB");
}
u64 descend(volatile u64& depth) {
    volatile char deep[65536];
    deep[0] = 1;
    depth = depth + 1;
    return depth == 0 ? 0 : descend(depth) + static_cast<u64>(deep[0]);
}
engine::CompileOutcome recurse() {
    volatile u64 depth = 0;
    return result_of(static_cast<long>(descend(depth) & 1), "had no end of stack");
}
engine::CompileOutcome spin() {
    volatile u64 n = 0;
    for (;;) n = n + 1;
}
engine::CompileOutcome wait_for_ever() {
    u32 word = 0;
    syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 0, nullptr, nullptr, 0);
    return escaped("woke up");
}
engine::CompileOutcome crash() {
    volatile std::uintptr_t where = 4;
    *reinterpret_cast<volatile int*>(where) = 1;
    return escaped("wrote to address 4");
}
engine::CompileOutcome leave() {
    _exit(0);
}

// Answers that cannot be.
engine::CompileOutcome bad_code() {
    engine::CompileOutcome out;
    out.code.engine = code::EngineKind::Jit;
    out.code.text.resize(64);
    out.code.entry = 4096;
    return out;
}
engine::CompileOutcome no_code() {
    return {};
}
// The worker's stream is the only descriptor left: found by trying.
void answer(Bytes bytes) {
    for (int fd = 4; fd < 16; ++fd) {
        if (syscall(SYS_write, fd, bytes.data(), bytes.size()) > 0) break;
    }
    _exit(0);
}
engine::CompileOutcome huge_size() {
    const u32 size = ~u32{0};
    answer(std::as_bytes(std::span(&size, 1)));
    return {};
}
engine::CompileOutcome noise() {
    const u32 words[] = {12, 0xffff'ffff, 0xffff'ffff, 0xffff'ffff};
    answer(std::as_bytes(std::span(words)));
    return {};
}
engine::CompileOutcome half_an_answer() {
    const u32 words[] = {1000, 0, 0};
    answer(std::as_bytes(std::span(words)));
    return {};
}

// What one job leaves behind for the next.
int left_behind = 0;
engine::CompileOutcome remember() {
    if (++left_behind > 1) return escaped("saw another job");
    return refused();
}

const std::map<std::string_view, engine::CompileOutcome (*)()> kPlants = {
    {"open", open_file},
    {"socket", make_socket},
    {"unix_socket", make_unix_socket},
    {"trace", trace_parent},
    {"kill", kill_parent},
    {"kill_all", kill_all},
    {"executable", executable},
    {"executable_later", executable_later},
    {"fork", fork_off},
    {"exec", start_program},
    {"descriptor", other_descriptor},
    {"bpf", load_bpf},
    {"allocate", allocate},
    {"recurse", recurse},
    {"spin", spin},
    {"wait", wait_for_ever},
    {"crash", crash},
    {"leave", leave},
    {"bad_code", bad_code},
    {"no_code", no_code},
    {"huge_size", huge_size},
    {"noise", noise},
    {"half", half_an_answer},
    {"remember", remember},
};

engine::CompileOutcome compile(const engine::CompileJob& job) {
    const std::string_view name = job.name;
    if (!name.starts_with("plant:")) return engine::compile_job(job);
    return kPlants.at(name.substr(6))();
}

}  // namespace

int main(int argc, char** argv) {
    return compile_child::run(std::span(argv, static_cast<std::size_t>(argc)).last(2), &compile,
                              {});
}
