// SPDX-License-Identifier: MIT
#include "products/libebpfapi/placeholders.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
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
                           File (*file_of)(void* self, u32 handle))
    : self_(self),
      close_handle_(close_handle),
      file_of_(file_of),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

Placeholders::~Placeholders() {
    for (const auto& [inode, object] : objects_) ::close(object.write_end);
    if (epoll_ >= 0) ::close(epoll_);
}

// Without /proc the file cannot be opened anew: then the map has a pipe like everything else, and
// mmap() of it fails.
Result<int> Placeholders::publish_file(u32 handle, const File& file) {
    char path[40];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", file.descriptor);
    struct stat status{};
    const int opened = open(path, file.open_flags | O_CLOEXEC);
    if (opened < 0) return fail(Errc::NotSupported, {}, "opening a map's pages");
    if (fstat(opened, &status) != 0 || flock(opened, LOCK_SH) != 0) {
        ::close(opened);
        return fail(Errc::NotSupported, {}, "locking a map's pages");
    }
    bool known = false;
    {
        const std::scoped_lock lock(mutex_);
        known = !files_.try_emplace(status.st_ino, handle, file.descriptor, status.st_dev).second;
    }
    if (known) close_handle_(self_, handle);
    return opened;
}

Result<int> Placeholders::publish(u32 handle) {
    if (const File file = file_of_ ? file_of_(self_, handle) : File{}; file.descriptor >= 0) {
        if (const auto opened = publish_file(handle, file)) return opened;
    }
    int ends[2];
    if (epoll_ < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return fail(error_of_errno(), {}, "descriptor");
    }
    struct stat status{};
    epoll_event event{};
    const bool known = fstat(ends[0], &status) == 0;
    event.data.u64 = status.st_ino;
    // No events asked for: EPOLLERR, which is always reported, is the closing of the read end.
    if (!known || epoll_ctl(epoll_, EPOLL_CTL_ADD, ends[1], &event) != 0) {
        const Errc code = error_of_errno();
        ::close(ends[0]);
        ::close(ends[1]);
        return fail(code, {}, "descriptor");
    }
    const std::scoped_lock lock(mutex_);
    device_ = status.st_dev;
    objects_[status.st_ino] = {.handle = handle, .write_end = ends[1]};
    return ends[0];
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
                ::close(found->second.write_end);  // leaves the epoll set with it
                gone.push_back(found->second.handle);
                objects_.erase(found);
            }
        }
    }
    // Outside the lock: closing a handle may detach a program and wait for its last invocation.
    for (const u32 handle : gone) close_handle_(self_, handle);
}

}  // namespace ebpf::products
