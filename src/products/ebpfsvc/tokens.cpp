// SPDX-License-Identifier: MIT
#include "products/ebpfsvc/tokens.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace ebpf::ebpfsvc {
namespace {

constexpr u64 kWake = 0;  // no socket has this cookie

}  // namespace

Token::~Token() {
    spec::HandleCloseAttr close{.fd = handle};
    (void)door(caller, spec::Command::HandleClose, &close);
}

Tokens::Tokens(const spec::Door& door, const spec::Caller& caller, u32 limit)
    : door_(door), caller_(caller), limit_(limit) {}

Tokens::~Tokens() {
    stop();
}

Status Tokens::start() {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kWake}};
    if (!epoll_ || !wake_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
        return fail(service::error_of_errno(errno), {}, "watching descriptors");
    }
    thread_ = std::thread([this] { watch(); });
    return {};
}

void Tokens::stop() {
    if (thread_.joinable()) {
        const u64 one = 1;
        (void)!write(wake_.get(), &one, sizeof one);
        thread_.join();
    }
    std::unordered_map<u64, std::shared_ptr<Token>> gone;
    {
        const std::scoped_lock lock(mutex_);
        by_handle_.clear();
        gone.swap(by_cookie_);
    }
}

Result<Tokens::Published> Tokens::publish(u32 handle) {
    auto token = std::make_shared<Token>(door_, caller_, handle);
    token->shape.fd = handle;
    TRY(door_(caller_, spec::Command::HandleShape, &token->shape));
    int ends[2];
    if (size() >= limit_ ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        return fail(Errc::TooManyDescriptors, {}, "descriptors of the service", limit_);
    }
    Fd theirs(ends[0]);
    token->ours = Fd(ends[1]);
    TRY_ASSIGN(token->cookie, service::cookie_of(theirs.get()));
    {
        const std::scoped_lock lock(mutex_);
        by_cookie_[token->cookie] = token;
        by_handle_[handle] = token;
    }
    // No events asked for: EPOLLHUP, which is always reported, is the closing of the client's end.
    epoll_event event{.events = 0, .data = {.u64 = token->cookie}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, token->ours.get(), &event) != 0) {
        const int number = errno;
        forget(token->cookie);
        return fail(service::error_of_errno(number), {}, "watching a descriptor");
    }
    return Published{std::move(token), std::move(theirs)};
}

std::shared_ptr<Token> Tokens::by_handle(u32 handle) {
    const std::scoped_lock lock(mutex_);
    const auto found = by_handle_.find(handle);
    return found == by_handle_.end() ? nullptr : found->second;
}

std::shared_ptr<Token> Tokens::by_cookie(u64 cookie) {
    const std::scoped_lock lock(mutex_);
    const auto found = by_cookie_.find(cookie);
    return found == by_cookie_.end() ? nullptr : found->second;
}

u64 Tokens::size() {
    const std::scoped_lock lock(mutex_);
    return by_cookie_.size();
}

void Tokens::forget(u64 cookie) {
    std::shared_ptr<Token> gone;  // released without the lock: closing a handle may wait
    const std::scoped_lock lock(mutex_);
    const auto found = by_cookie_.find(cookie);
    if (found == by_cookie_.end()) return;
    gone = std::move(found->second);
    by_cookie_.erase(found);
    const auto same = by_handle_.find(gone->handle);
    if (same != by_handle_.end() && same->second == gone) by_handle_.erase(same);
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, gone->ours.get(), nullptr);
}

void Tokens::watch() {
    std::array<epoll_event, 64> events;
    for (;;) {
        const int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
        for (int i = 0; i < count; ++i) {
            const u64 what = events[static_cast<size_t>(i)].data.u64;
            if (what == kWake) return;
            forget(what);
        }
    }
}

}  // namespace ebpf::ebpfsvc
