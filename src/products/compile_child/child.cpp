// SPDX-License-Identifier: MIT
#include "products/compile_child/child.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "isa/codec.hpp"

namespace ebpf::compile_child {
namespace {

// Returns false when the stream ended or broke before all of it.
bool read_all(int from, MutableBytes into) {
    while (!into.empty()) {
        const ssize_t got = read(from, into.data(), into.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        into = into.subspan(static_cast<std::size_t>(got));
    }
    return true;
}

bool write_all(int to, Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t put = write(to, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return true;
}

engine::CompileOutcome outcome_of(Bytes bytes, Compile compile) {
    try {
        const auto job = engine::decode_job(bytes);
        if (job) return compile(*job);
        return engine::failed_outcome(job.error(), "the compiling child could not read the job\n");
    } catch (const std::bad_alloc&) {
        return engine::failed_outcome(
            fail(Errc::NoMemory).error(),
            "the program needs more memory to be verified and compiled than there may be\n");
    }
}

// One job, in a process of its own. The exit status says only whether an outcome was sent.
[[noreturn]] void work(int stream, const Start& start, Compile compile) {
    if (!platform::become_worker(stream, start.limits)) _exit(2);
    Piece size;
    if (!read_all(stream, std::as_writable_bytes(std::span(&size, 1)))) _exit(3);
    if (size.size > engine::kMaxJob) _exit(4);
    std::vector<std::byte> bytes(size.size);
    if (!read_all(stream, bytes)) _exit(3);
    const auto outcome = engine::encode(outcome_of(bytes, compile));
    size.size = static_cast<u32>(outcome.size());
    if (!write_all(stream, std::as_bytes(std::span(&size, 1))) || !write_all(stream, outcome))
        _exit(5);
    _exit(0);
}

// The next job's stream; nothing when the daemon is gone.
struct Request {
    Start start;
    int stream = -1;
};
std::optional<Request> next(int control) {
    Request out;
    iovec data{&out.start, sizeof out.start};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
    msghdr message{.msg_iov = &data,
                   .msg_iovlen = 1,
                   .msg_control = space.data(),
                   .msg_controllen = space.size()};
    ssize_t got = 0;
    do {
        got = recvmsg(control, &message, 0);
    } while (got < 0 && errno == EINTR);
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (got != sizeof out.start || !header || header->cmsg_type != SCM_RIGHTS) return {};
    std::memcpy(&out.stream, CMSG_DATA(header), sizeof out.stream);
    return out;
}

// Waits for the worker; when the daemon goes first, so do we, and the worker with us.
bool wait_for(pid_t worker, int control, i32& status) {
    const int process = static_cast<int>(syscall(SYS_pidfd_open, worker, 0));
    if (process >= 0) {
        std::array<pollfd, 2> both{{{.fd = process, .events = POLLIN, .revents = 0},
                                    {.fd = control, .events = 0, .revents = 0}}};
        while (poll(both.data(), both.size(), -1) < 0 && errno == EINTR) {
        }
        close(process);
        if (both[1].revents & (POLLHUP | POLLERR)) return false;
    }
    return waitpid(worker, &status, 0) == worker;
}

int serve(int control, Compile compile) {
    for (;;) {
        const auto request = next(control);
        if (!request) return 0;
        const pid_t worker = fork();
        if (worker == 0) work(request->stream, request->start, compile);
        close(request->stream);  // the daemon's reads end with the worker
        Ended ended{.wait_status = W_EXITCODE(127, 0)};
        if (worker > 0 && !wait_for(worker, control, ended.wait_status)) return 0;
        if (send(control, &ended, sizeof ended, MSG_NOSIGNAL) != sizeof ended) return 0;
    }
}

// r0 = 0; exit
engine::CompileJob smallest_job() {
    engine::CompileJob job{.name = "warm_up", .type = spec::ProgramType::Xdp};
    for (const isa::Insn& insn :
         {isa::Insn{.form = isa::Form::AluImm, .kind = static_cast<u8>(isa::AluOp::Mov)},
          isa::Insn{.form = isa::Form::Exit}}) {
        isa::Slot slots[2];
        if (!isa::encode(insn, slots)) continue;
        const Bytes bytes = std::as_bytes(std::span(slots).first(1));
        job.slots.insert(job.slots.end(), bytes.begin(), bytes.end());
    }
    return job;
}

std::optional<u32> number(const char* text) {
    u32 value = 0;
    const char* const end = text + std::strlen(text);
    const auto [at, error] = std::from_chars(text, end, value);
    if (error != std::errc{} || at != end) return {};
    return value;
}

}  // namespace

int run(std::span<char* const> arguments, Compile compile, const engine::CompileJob& warm_up) {
    if (arguments.size() != 2) return 2;
    const auto control = number(arguments[0]), layers = number(arguments[1]);
    if (!control || !layers) return 2;
    const int socket = static_cast<int>(*control);
    (void)compile(warm_up);
    Ready ready;
    const auto confined = platform::become_zygote(socket, *layers);
    if (confined) ready.confinement = *confined;
    const bool told = send(socket, &ready, sizeof ready, MSG_NOSIGNAL) == sizeof ready;
    // At once: what else runs at a process' end may need what is forbidden here. (A sanitizer's
    // search for leaks waited for ever for a thread that it could not start.)
    _exit(told && confined ? serve(socket, compile) : 1);
}

int run(std::span<char* const> arguments) {
    return run(arguments, &engine::compile_job, smallest_job());
}

}  // namespace ebpf::compile_child
