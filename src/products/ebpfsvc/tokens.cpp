// SPDX-License-Identifier: MIT
#include "products/ebpfsvc/tokens.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "spec/map_types.hpp"

namespace ebpf::ebpfsvc {
namespace {

constexpr u64 kWake = 0;               // no socket has this cookie
constexpr u64 kEventBit = 1ull << 63;  // in an epoll's data: a map's event, the rest is its id
constexpr int kNoticeBytes = 4096;     // room for notices that a client has not read

bool is_ring(const wire::Shape& shape) {
    static const i32 ring = spec::number(spec::Dialect::Linux, spec::MapType::Ringbuf);
    return shape.kind == 1 && static_cast<i32>(shape.map_type) == ring;
}

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
        rings_.clear();
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
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &kNoticeBytes, sizeof kNoticeBytes);
    TRY_ASSIGN(token->cookie, service::cookie_of(theirs.get()));
    {
        const std::scoped_lock lock(mutex_);
        by_cookie_[token->cookie] = token;
        by_handle_[handle] = token;
        if (is_ring(token->shape)) rings_.emplace(token->shape.id, token);
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
    const auto [begin, end] = rings_.equal_range(gone->shape.id);
    for (auto at = begin; at != end;) at = at->second == gone ? rings_.erase(at) : std::next(at);
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, gone->ours.get(), nullptr);
}

Status Tokens::watch_event(u32 map_id, int event) {
    const std::scoped_lock lock(mutex_);
    epoll_event wanted{.events = EPOLLIN | EPOLLET, .data = {.u64 = kEventBit | map_id}};
    // A ring's event leaves the set when the ring is destroyed, which closes it.
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, event, &wanted) != 0 && errno != EEXIST) {
        return fail(service::error_of_errno(errno), {}, "watching a ring");
    }
    return {};
}

// A ring has data: every descriptor of its map becomes readable. A client that does not read finds
// the notices that fit.
void Tokens::announce(u32 map_id) {
    std::vector<std::shared_ptr<Token>> those;
    {
        const std::scoped_lock lock(mutex_);
        const auto [begin, end] = rings_.equal_range(map_id);
        for (auto at = begin; at != end; ++at) those.push_back(at->second);
    }
    for (const auto& token : those) {
        const char notice = 1;
        (void)!send(token->ours.get(), &notice, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

void Tokens::watch() {
    std::array<epoll_event, 64> events;
    for (;;) {
        const int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
        for (int i = 0; i < count; ++i) {
            const u64 what = events[static_cast<size_t>(i)].data.u64;
            if (what == kWake) return;
            if ((what & kEventBit) != 0) {
                announce(static_cast<u32>(what));
            } else {
                forget(what);
            }
        }
    }
}

}  // namespace ebpf::ebpfsvc
