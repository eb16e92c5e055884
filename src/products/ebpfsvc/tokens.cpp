// SPDX-License-Identifier: MIT
#include "products/ebpfsvc/tokens.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "platform/system.hpp"
#include "spec/map_types.hpp"

namespace ebpf::ebpfsvc {
namespace {

// No socket has these cookies.
constexpr u64 kWake = 0;
constexpr u64 kInotify = ~u64{0};
constexpr u32 kLooks = 12;  // at a file that was closed, each twice as long after the one before

std::string path_of(i64 descriptor) {
    return "/proc/self/fd/" + std::to_string(descriptor);
}

}  // namespace

Result<Fd> open_pages(const spec::MapMemoryAttr& memory) {
    constexpr int kFlags[] = {-1, O_RDONLY, O_WRONLY, O_RDWR};
    const auto native = static_cast<i64>(memory.native);
    const int flags = kFlags[memory.access & 3];
    if (native < 0 || flags < 0) return fail(Errc::NotSupported, {}, "memory of this map");
    Fd file(open(path_of(native).c_str(), flags | O_CLOEXEC));
    if (!file) return fail(service::error_of_errno(errno), {}, "memory of a map");
    return file;
}

Token::~Token() {
    spec::HandleCloseAttr close{.fd = handle};
    (void)door(caller, spec::Command::HandleClose, &close);
}

Tokens::Tokens(const spec::Door& door, const spec::Caller& caller, service::RingSignals& rings,
               u32 limit)
    : door_(door), caller_(caller), rings_(rings), limit_(limit) {}

Tokens::~Tokens() {
    stop();
}

Status Tokens::start() {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    inotify_ = Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kWake}};
    epoll_event closing{.events = EPOLLIN, .data = {.u64 = kInotify}};
    if (!epoll_ || !wake_ || !inotify_ ||
        epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0 ||
        epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, inotify_.get(), &closing) != 0) {
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
    std::map<service::Cookie, std::shared_ptr<Token>> gone;
    {
        const std::scoped_lock lock(mutex_);
        by_handle_.clear();
        by_watch_.clear();
        for (const auto& [cookie, token] : by_cookie_) rings_.remove(token->ours.get());
        gone.swap(by_cookie_);
    }
}

Result<Tokens::Published> Tokens::publish(u32 handle) {
    auto token = std::make_shared<Token>(door_, caller_, handle);
    token->shape.fd = handle;
    TRY(door_(caller_, spec::Command::HandleShape, &token->shape));
    if (size() >= limit_) {
        return fail(Errc::TooManyDescriptors, {}, "descriptors of the service", limit_);
    }
    spec::Caller daemon = caller_;
    daemon.privileged = true;
    spec::MapMemoryAttr pages{.map_fd = handle};
    if ((token->shape.map_flags & spec::kMapMmapable) != 0 &&
        door_(daemon, spec::Command::MapMemory, &pages)) {
        return publish_file(std::move(token), pages);
    }
    return publish_socket(std::move(token));
}

// The token that there is already keeps its handle, and the new one is closed.
Result<Tokens::Published> Tokens::publish_file(std::shared_ptr<Token> token,
                                               const spec::MapMemoryAttr& memory) {
    token->pages = static_cast<int>(memory.native);
    TRY_ASSIGN(token->cookie, service::cookie_of(token->pages));
    std::shared_ptr<Token> spare;  // released without the lock: closing a handle may wait
    const std::scoped_lock lock(mutex_);
    const auto known = by_cookie_.find(token->cookie);
    if (known == by_cookie_.end()) {
        token->watch = inotify_add_watch(inotify_.get(), path_of(token->pages).c_str(), IN_CLOSE);
        if (token->watch < 0) {
            return fail(Errc::TooManyDescriptors, {}, "watching a map's pages (inotify)",
                        static_cast<u64>(errno));
        }
    } else {
        spare = std::exchange(token, known->second);
    }
    auto theirs = open_pages(memory);
    if (!theirs || flock(theirs->get(), LOCK_SH) != 0) {
        if (known == by_cookie_.end()) (void)inotify_rm_watch(inotify_.get(), token->watch);
        if (!theirs) return std::unexpected(theirs.error());
        return fail(Errc::NoMemory, {}, "locking a map's pages", static_cast<u64>(errno));
    }
    by_cookie_[token->cookie] = token;
    by_handle_[token->handle] = token;
    by_watch_[token->watch] = token->cookie;
    return Published{std::move(token), std::move(*theirs)};
}

Result<Tokens::Published> Tokens::publish_socket(std::shared_ptr<Token> token) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        return fail(Errc::TooManyDescriptors, {}, "descriptors of the service", limit_);
    }
    Fd theirs(ends[0]);
    token->ours = Fd(ends[1]);
    TRY_ASSIGN(token->cookie, service::cookie_of(theirs.get()));
    {
        const std::scoped_lock lock(mutex_);
        by_cookie_[token->cookie] = token;
        by_handle_[token->handle] = token;
    }
    // No events asked for: EPOLLHUP, which is always reported, is the closing of the client's end.
    epoll_event event{.events = 0, .data = {.u64 = token->cookie.number}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, token->ours.get(), &event) != 0) {
        const int number = errno;
        forget(token->cookie);
        return fail(service::error_of_errno(number), {}, "watching a descriptor");
    }
    if (service::is_ring(token->shape.map_type)) announce_ring(*token);
    return Published{std::move(token), std::move(theirs)};
}

// What is in the ring already makes the new descriptor readable.
void Tokens::announce_ring(const Token& token) {
    rings_.add(token.shape.id, token.ours.get());
    spec::RingWaitAttr wait{.map_fd = token.handle};
    const auto ready = door_(caller_, spec::Command::RingWait, &wait);
    if (ready && *ready == 1) rings_.ready(token.shape.id);
}

std::shared_ptr<Token> Tokens::by_handle(u32 handle) {
    const std::scoped_lock lock(mutex_);
    const auto found = by_handle_.find(handle);
    return found == by_handle_.end() ? nullptr : found->second;
}

std::shared_ptr<Token> Tokens::by_cookie(const service::Cookie& cookie) {
    const std::scoped_lock lock(mutex_);
    const auto found = by_cookie_.find(cookie);
    return found == by_cookie_.end() ? nullptr : found->second;
}

u64 Tokens::size() {
    const std::scoped_lock lock(mutex_);
    return by_cookie_.size();
}

void Tokens::forget(const service::Cookie& cookie) {
    std::shared_ptr<Token> gone;  // released without the lock: closing a handle may wait
    const std::scoped_lock lock(mutex_);
    const auto found = by_cookie_.find(cookie);
    if (found == by_cookie_.end()) return;
    gone = found->second;
    unlist(*gone);
}

void Tokens::unlist(const Token& token) {
    const auto same = by_handle_.find(token.handle);
    if (same != by_handle_.end() && same->second.get() == &token) by_handle_.erase(same);
    if (token.is_file()) {
        by_watch_.erase(token.watch);
        (void)inotify_rm_watch(inotify_.get(), token.watch);
    } else {
        rings_.remove(token.ours.get());
        (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, token.ours.get(), nullptr);
    }
    by_cookie_.erase(token.cookie);
}

void Tokens::read_closings() {
    alignas(inotify_event) std::array<char, 4096> bytes;
    ssize_t size = 0;
    while ((size = read(inotify_.get(), bytes.data(), bytes.size())) > 0) {
        const std::scoped_lock lock(mutex_);
        for (const char* at = bytes.data(); at < bytes.data() + size;) {
            const auto* const event = reinterpret_cast<const inotify_event*>(at);
            at += sizeof *event + event->len;
            if ((event->mask & IN_Q_OVERFLOW) != 0) {  // any of them
                for (const auto& [watch, cookie] : by_watch_) closed_[cookie] = 0;
            }
            const auto found = by_watch_.find(event->wd);
            if (found != by_watch_.end()) closed_[found->second] = 0;
        }
    }
}

void Tokens::release_files(u32 looks) {
    std::vector<std::shared_ptr<Token>> gone;
    const std::scoped_lock lock(mutex_);
    for (auto at = closed_.begin(); at != closed_.end();) {
        const auto token = by_cookie_.find(at->first);
        const bool last =
            token != by_cookie_.end() && flock(token->second->pages, LOCK_EX | LOCK_NB) == 0;
        if (last) {
            (void)flock(token->second->pages, LOCK_UN);
            gone.push_back(token->second);
        }
        const bool over = last || token == by_cookie_.end() || (at->second += looks) >= kLooks;
        at = over ? closed_.erase(at) : std::next(at);
    }
    for (const auto& token : gone) unlist(*token);
}

// What is not a socket stays for the watching thread.
void Tokens::release_closed() {
    std::array<epoll_event, 64> events;
    size_t forgotten = 0;
    do {
        const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
        forgotten = 0;
        for (int i = 0; i < count; ++i) {
            const u64 what = events[static_cast<size_t>(i)].data.u64;
            if (what == kWake || what == kInotify) continue;
            forget({.number = what});
            ++forgotten;
        }
    } while (forgotten == events.size());
    read_closings();
    release_files(0);
}

void Tokens::watch() {
    std::array<epoll_event, 64> events;
    int delay = -1;  // until files are looked at again, in ms
    u64 next_look = 0;
    for (;;) {
        const int count = epoll_wait(epoll_.get(), events.data(), events.size(), delay);
        for (int i = 0; i < count; ++i) {
            const u64 what = events[static_cast<size_t>(i)].data.u64;
            if (what == kWake) return;
            if (what == kInotify) {
                read_closings();
                delay = 1;
                next_look = 0;
            } else {
                forget({.number = what});
            }
        }
        if (delay < 0 || platform::monotonic_ns() < next_look) continue;
        release_files(1);
        const std::scoped_lock lock(mutex_);
        delay = closed_.empty() ? -1 : delay * 2;
        next_look = platform::monotonic_ns() + static_cast<u64>(delay) * 1'000'000;
    }
}

}  // namespace ebpf::ebpfsvc
