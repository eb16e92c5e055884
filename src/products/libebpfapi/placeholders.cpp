// SPDX-License-Identifier: MIT
#include "products/libebpfapi/placeholders.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <vector>

namespace ebpf::products {
namespace {

Errc error_of_errno() {
    return errno == ENOMEM ? Errc::NoMemory : Errc::OutOfSpace;
}

}  // namespace

Placeholders::Placeholders(void* self, void (*close_handle)(void* self, u32 handle),
                           Backing (*backing_of)(void* self, u32 handle),
                           bool (*has_news)(void* self, u32 handle))
    : self_(self),
      close_handle_(close_handle),
      backing_of_(backing_of),
      has_news_(has_news),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

Placeholders::~Placeholders() {
    for (const auto& [inode, object] : objects_) ::close(object.ours);
    if (epoll_ >= 0) ::close(epoll_);
}

// Without /proc the file cannot be opened anew: then the map has a socket like everything else, and
// mmap() of it fails.
Result<int> Placeholders::publish_file(u32 handle, const Backing& backing) {
    char path[40];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", backing.file);
    struct stat status{};
    const int opened = open(path, backing.open_flags | O_CLOEXEC);
    if (opened < 0) return fail(Errc::NotSupported, {}, "opening a map's pages");
    if (fstat(opened, &status) != 0 || flock(opened, LOCK_SH) != 0) {
        ::close(opened);
        return fail(Errc::NotSupported, {}, "locking a map's pages");
    }
    bool known = false;
    {
        const std::scoped_lock lock(mutex_);
        known = !files_.try_emplace(status.st_ino, handle, backing.file, status.st_dev).second;
    }
    if (known) close_handle_(self_, handle);
    return opened;
}

Result<int> Placeholders::publish(u32 handle) {
    const Backing backing = backing_of_ ? backing_of_(self_, handle) : Backing{};
    if (backing.file >= 0) {
        if (const auto opened = publish_file(handle, backing)) return opened;
    }
    int ends[2];
    if (epoll_ < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        return fail(error_of_errno(), {}, "descriptor");
    }
    struct stat status{};
    epoll_event event{};
    const bool known = fstat(ends[0], &status) == 0;
    event.data.u64 = status.st_ino;
    // No events asked for: EPOLLHUP, which is always reported, is the closing of the other end.
    if (!known || epoll_ctl(epoll_, EPOLL_CTL_ADD, ends[1], &event) != 0) {
        const Errc code = error_of_errno();
        ::close(ends[0]);
        ::close(ends[1]);
        return fail(code, {}, "descriptor");
    }
    {
        const std::scoped_lock lock(mutex_);
        device_ = status.st_dev;
        objects_[status.st_ino] = {.handle = handle, .ours = ends[1], .ring = backing.ring};
    }
    if (backing.ring != 0) {
        // Asked afterwards: what comes from now on is told.
        rings_.add(backing.ring, ends[1]);
        if (has_news_(self_, handle)) rings_.ready(backing.ring);
    }
    return ends[0];
}

u32 Placeholders::ring(int descriptor) const {
    struct stat status{};
    if (fstat(descriptor, &status) != 0) return 0;
    const std::scoped_lock lock(mutex_);
    const auto found = status.st_dev == device_ ? objects_.find(status.st_ino) : objects_.end();
    return found != objects_.end() ? found->second.ring : 0;
}

void Placeholders::settle(int descriptor) {
    if (ring(descriptor) != 0) service::settle(descriptor);
}

void Placeholders::announce(int descriptor) {
    if (const u32 id = ring(descriptor); id != 0) rings_.ready(id);
}

Result<u32> Placeholders::handle(int descriptor) const {
    struct stat status{};
    if (fstat(descriptor, &status) != 0)
        return fail(Errc::InvalidFd, {}, "descriptor", static_cast<u64>(descriptor));
    const std::scoped_lock lock(mutex_);
    const auto found = status.st_dev == device_ ? objects_.find(status.st_ino) : objects_.end();
    if (found == objects_.end()) {
        const auto pages = files_.find(status.st_ino);
        if (pages != files_.end() && pages->second.device == status.st_dev) {
            return pages->second.handle;
        }
        return fail(Errc::InvalidArgument, {}, "descriptor", static_cast<u64>(descriptor));
    }
    return found->second.handle;
}

void Placeholders::close(int descriptor) {
    ::close(descriptor);
    sweep();
}

void Placeholders::sweep_files(std::vector<u32>& gone) {
    for (auto at = files_.begin(); at != files_.end();) {
        const int file = at->second.file;
        const bool closed = flock(file, LOCK_EX | LOCK_NB) == 0;
        if (closed) {
            (void)flock(file, LOCK_UN);
            gone.push_back(at->second.handle);
        }
        at = closed ? files_.erase(at) : std::next(at);
    }
}

void Placeholders::sweep() {
    std::vector<u32> gone;
    {
        const std::scoped_lock lock(mutex_);
        sweep_files(gone);
        std::array<epoll_event, 64> events;
        int count = 0;
        size_t known = 1;
        // A child after fork() shares the epoll set with its parent: what it does not know stays
        // in.
        while (known != 0 && (count = epoll_wait(epoll_, events.data(), events.size(), 0)) > 0) {
            known = 0;
            for (int i = 0; i < count; ++i) {
                const auto found =
                    objects_.find(static_cast<ino_t>(events[static_cast<size_t>(i)].data.u64));
                if (found == objects_.end()) continue;
                ++known;
                if (found->second.ring != 0) rings_.remove(found->second.ours);
                ::close(found->second.ours);  // leaves the epoll set with it
                gone.push_back(found->second.handle);
                objects_.erase(found);
            }
        }
    }
    // Outside the lock: closing a handle may detach a program and wait for its last invocation.
    for (const u32 handle : gone) close_handle_(self_, handle);
}

}  // namespace ebpf::products
