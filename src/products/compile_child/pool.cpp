// SPDX-License-Identifier: MIT
#include "products/compile_child/pool.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <new>

#include "platform/system.hpp"
#include "products/compile_child/child.hpp"

namespace ebpf::compile_child {
namespace {

using Clock = std::chrono::steady_clock;
using products::Fd;

constexpr u32 kStartMs = 30'000;  // for a child to come up, on a machine that is very busy
constexpr int kAttempts = 4;      // worker gone, then its child gone, then a new one
constexpr std::size_t kStep = std::size_t{1} << 20;

// Whether `fd` became ready for `events` (or broke, which the next call shows) before `deadline`.
bool wait_until(int fd, short events, Clock::time_point deadline) {
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left < 0) return false;
        pollfd one{.fd = fd, .events = events, .revents = 0};
        const int ready = poll(&one, 1, static_cast<int>(std::min<i64>(left + 1, 1'000'000)));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return true;
    }
}

enum class Transfer : u8 { Done, Ended, Late };

Transfer send_all(int to, Bytes bytes, Clock::time_point deadline) {
    while (!bytes.empty()) {
        const ssize_t put = send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(put));
        } else if (errno == EAGAIN) {
            if (!wait_until(to, POLLOUT, deadline)) return Transfer::Late;
        } else if (errno != EINTR) {
            return Transfer::Ended;
        }
    }
    return Transfer::Done;
}

// Memory grows with what has come, not with what was announced.
Transfer receive_all(int from, std::vector<std::byte>& into, std::size_t size,
                     Clock::time_point deadline) {
    std::size_t have = 0;
    into.clear();
    while (have < size) {
        into.resize(std::min(size, have + kStep));
        // No lock is held here. NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
        const ssize_t got = recv(from, into.data() + have, into.size() - have, MSG_DONTWAIT);
        if (got > 0) {
            have += static_cast<std::size_t>(got);
        } else if (got < 0 && errno == EAGAIN) {
            if (!wait_until(from, POLLIN, deadline)) return Transfer::Late;
        } else if (got == 0 || errno != EINTR) {
            return Transfer::Ended;
        }
    }
    return Transfer::Done;
}

template <typename T>
Transfer receive_message(int from, T& message, Clock::time_point deadline) {
    for (;;) {
        // No lock is held here. NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
        const ssize_t got = recv(from, &message, sizeof message, MSG_DONTWAIT);
        if (got == sizeof message) return Transfer::Done;
        if (got >= 0 || (errno != EAGAIN && errno != EINTR)) return Transfer::Ended;
        if (!wait_until(from, POLLIN, deadline)) return Transfer::Late;
    }
}

bool send_start(int control, const Start& start, int stream) {
    Start copy = start;
    iovec data{&copy, sizeof copy};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
    msghdr message{.msg_iov = &data,
                   .msg_iovlen = 1,
                   .msg_control = space.data(),
                   .msg_controllen = space.size()};
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof stream);
    std::memcpy(CMSG_DATA(header), &stream, sizeof stream);
    return sendmsg(control, &message, MSG_NOSIGNAL) == sizeof copy;
}

}  // namespace

Pool::Pool(PoolOptions options) : options_(std::move(options)) {}

Pool::~Pool() {
    for (Child& child : children_) end(child);
}

Status Pool::start() {
    children_.resize(options_.children != 0 ? options_.children : platform::possible_cpus());
    for (Child& child : children_) {
        TRY(start(child));
        free_.push_back(static_cast<u32>(free_.size()));
    }
    return {};
}

void Pool::stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Child& child : children_) {
        if (child.pid > 0) kill(child.pid, SIGKILL);
    }
}

Status Pool::start(Child& child) {
    std::vector<const char*> arguments;
    arguments.reserve(options_.arguments.size());
    for (const std::string& argument : options_.arguments) arguments.push_back(argument.c_str());
    TRY_ASSIGN(const platform::ConfinedProcess process,
               platform::start_confined(options_.program.c_str(), arguments, options_.keep_stderr));
    child.control = Fd(process.control);
    {
        const std::lock_guard lock(mutex_);
        child.pid = process.pid;
        if (stopping_) kill(child.pid, SIGKILL);
    }
    Ready ready;
    const auto deadline = Clock::now() + std::chrono::milliseconds(kStartMs);
    if (receive_message(child.control.get(), ready, deadline) != Transfer::Done) {
        end(child);
        return fail(Errc::Failed, {}, "the compiling child did not start");
    }
    if (!ready.confinement.filter) {
        end(child);
        return fail(Errc::NotSupported, {}, "the compiling child cannot be confined");
    }
    prepare(child);
    const std::lock_guard lock(mutex_);
    confinement_ = ready.confinement;
    return {};
}

// Asks for the next job's worker: forking takes longer than many a job.
bool Pool::prepare(Child& child) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
    child.stream = Fd(pair[0]);
    const Fd other(pair[1]);
    const Start start{.limits = {.memory_bytes = options_.memory_bytes,
                                 .cpu_seconds = options_.deadline_ms / 1000 + 1}};
    if (send_start(child.control.get(), start, other.get())) return true;
    child.stream = Fd();
    return false;
}

// The last job's worker has answered; now it must go, or no other is forked.
bool Pool::settle(Child& child) {
    Ended ended;
    if (child.owes_end &&
        receive_message(child.control.get(), ended,
                        Clock::now() + std::chrono::milliseconds(kStartMs)) != Transfer::Done)
        return false;
    child.owes_end = false;
    return child.stream || prepare(child);
}

// Its workers end with it: with its process name space, or by their parent's death.
void Pool::end(Child& child) {
    i32 pid = -1;
    {
        const std::lock_guard lock(mutex_);
        std::swap(pid, child.pid);
    }
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    child.control = Fd();
    child.stream = Fd();
    child.owes_end = false;
}

std::string Pool::confinement() const {
    platform::Confinement c;
    {
        const std::lock_guard lock(mutex_);
        c = confinement_;
    }
    std::string stands = "system calls, memory, time", missing;
    const auto say = [&](bool has, const char* what) {
        std::string& list = has ? stands : missing;
        if (!list.empty()) list += ", ";
        list += what;
    };
    say(c.files, "files");
    say(c.network, "network");
    say(c.processes, "processes");
    say(c.ipc, "shared objects");
    say(c.user || c.other_user, "user");
    std::string text =
        std::to_string(children_.size()) + " compiling children, confined in " + stands;
    if (!missing.empty())
        text += "; not in " + missing + " (the system refuses: " + std::strerror(c.refused) + ")";
    return text;
}

u32 Pool::take() {
    std::unique_lock lock(mutex_);
    const u64 ticket = next_ticket_++;
    freed_.wait(lock, [&] { return !free_.empty() && ticket == served_ticket_; });
    ++served_ticket_;
    ++figures_.jobs;
    const u32 index = free_.back();
    free_.pop_back();
    if (!free_.empty()) freed_.notify_all();
    return index;
}

void Pool::give_back(u32 index) {
    const std::lock_guard lock(mutex_);
    free_.push_back(index);
    freed_.notify_all();
}

engine::CompileOutcome Pool::compile(const engine::CompileJob& job) {
    const std::vector<std::byte> bytes = engine::encode(job);
    if (bytes.size() > engine::kMaxJob)
        return engine::failed_outcome(fail(Errc::TooLarge).error(),
                                      "the program with its maps is too large to be compiled\n");
    const u32 index = take();
    Child& child = children_[index];
    Reply reply{.answer = Answer::NoChild};
    // A child that is gone before the job began (the kernel ran out of memory, say) did no harm.
    for (int attempt = 0; attempt < kAttempts && reply.answer == Answer::NoChild; ++attempt) {
        if (child.pid < 0) {
            if (!start(child)) continue;
            count(&PoolFigures::restarts);
        }
        try {
            reply = run(child, bytes);
        } catch (const std::bad_alloc&) {  // for the answer; what the child is at is lost
            end(child);
        }
    }
    // Made ready at once, not when the next load waits for it; another attempt is made there.
    if (child.pid >= 0) {
        if (!child.stream) prepare(child);
    } else if (start(child)) {
        count(&PoolFigures::restarts);
    }
    give_back(index);
    return judge(job, std::move(reply));
}

// Whatever happens, `child` is afterwards ready for the next job or ended.
Pool::Reply Pool::run(Child& child, Bytes job) {
    const auto ending = [&](Answer answer) {
        end(child);
        return Reply{.answer = answer};
    };
    if (!settle(child)) return ending(Answer::NoChild);
    const auto deadline = Clock::now() + std::chrono::milliseconds(options_.deadline_ms);
    const Fd stream = std::move(child.stream);

    Piece size{.size = static_cast<u32>(job.size())};
    std::vector<std::byte> bytes;
    Transfer done = send_all(stream.get(), std::as_bytes(std::span(&size, 1)), deadline);
    if (done == Transfer::Ended) {  // gone before it began: the child will say so, or is gone too
        child.owes_end = true;
        return Reply{.answer = Answer::NoChild};
    }
    if (done == Transfer::Done) done = send_all(stream.get(), job, deadline);
    if (done == Transfer::Done) done = receive_all(stream.get(), bytes, sizeof size, deadline);
    if (done == Transfer::Done) {
        std::memcpy(&size, bytes.data(), sizeof size);
        if (size.size > engine::kMaxJob) return ending(Answer::Nonsense);
        done = receive_all(stream.get(), bytes, size.size, deadline);
    }
    switch (done) {
        case Transfer::Done:
            child.owes_end = true;
            return Reply{.answer = Answer::Outcome, .bytes = std::move(bytes)};
        case Transfer::Late:
            return ending(Answer::Late);
        case Transfer::Ended:
            break;
    }
    Ended ended;  // the status says why
    switch (receive_message(child.control.get(), ended, deadline)) {
        case Transfer::Done:
            return Reply{.answer = Answer::Died, .wait_status = ended.wait_status};
        case Transfer::Late:
            return ending(Answer::Late);
        case Transfer::Ended:
            break;
    }
    return ending(Answer::Died);
}

engine::CompileOutcome Pool::died(i32 wait_status) {
    std::array<char, 64> how{};
    std::string text = "the process that verified and compiled this program ended by ";
    text += std::string(how.data(), platform::describe_wait_status(wait_status, how));
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS)
        text += ": it made a system call that it may not make";
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGXCPU)
        text += ": it used more processor time than it may";
    text +=
        ".\nThe program is not loaded; other loads go on. This is a fault of the verifier or the "
        "compiler: please report it with the object file.\n";
    return engine::failed_outcome(fail(Errc::Failed, {}, "the compiling process died").error(),
                                  std::move(text));
}

engine::CompileOutcome Pool::judge(const engine::CompileJob& job, Reply reply) {
    switch (reply.answer) {
        case Answer::Outcome:
            break;
        case Answer::Died:
            count(&PoolFigures::died);
            return died(reply.wait_status);
        case Answer::Late:
            count(&PoolFigures::late);
            return engine::failed_outcome(
                fail(Errc::Timeout, {}, "verification and compilation", options_.deadline_ms)
                    .error(),
                "verifying and compiling this program took longer than the service allows (" +
                    std::to_string(options_.deadline_ms) +
                    " ms). The program is not loaded; other loads go on. Make it smaller, or its "
                    "loops simpler.\n");
        case Answer::Nonsense:
            break;
        case Answer::NoChild:
            return engine::failed_outcome(
                fail(Errc::Failed, {}, "no compiling process").error(),
                "the service could not start a process to verify and compile this program (out of "
                "memory, processes or descriptors?). Try again; its log says more.\n");
    }
    if (reply.answer == Answer::Outcome) {
        auto outcome = engine::decode_outcome(reply.bytes);
        if (outcome && engine::check_outcome(job, *outcome)) return std::move(*outcome);
    }
    count(&PoolFigures::nonsense);
    return engine::failed_outcome(
        fail(Errc::Failed, {}, "the compiling process answered nonsense").error(),
        "the process that verified and compiled this program answered nonsense. The program is not "
        "loaded; other loads go on. This is a fault of the verifier or the compiler: please report "
        "it with the object file.\n");
}

void Pool::count(u64 PoolFigures::* figure) {
    const std::lock_guard lock(mutex_);
    ++(figures_.*figure);
}

PoolFigures Pool::figures() const {
    const std::lock_guard lock(mutex_);
    return figures_;
}

}  // namespace ebpf::compile_child
