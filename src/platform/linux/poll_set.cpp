// SPDX-License-Identifier: MIT
#include "platform/poll_set.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

namespace ebpf::platform {

Result<PollSet> PollSet::create() {
    PollSet set;
    set.descriptor_ = epoll_create1(EPOLL_CLOEXEC);
    if (set.descriptor_ >= 0) return set;
    return fail(errno == ENOMEM ? Errc::NoMemory : Errc::TooManyDescriptors, {}, "epoll");
}

PollSet::~PollSet() {
    if (descriptor_ >= 0) close(descriptor_);
}

Status PollSet::add(i64 native) const {
    const int descriptor = static_cast<int>(native);
    epoll_event event{.events = EPOLLIN, .data = {.fd = descriptor}};
    if (epoll_ctl(descriptor_, EPOLL_CTL_ADD, descriptor, &event) == 0) return {};
    const Errc code = errno == EEXIST ? Errc::ObjectAlreadyExists : Errc::InvalidArgument;
    return fail(code, {}, "waiting for a descriptor", static_cast<u64>(descriptor));
}

PollSet::Outcome PollSet::wait(int timeout_ms) const {
    epoll_event event{};
    const int count = epoll_wait(descriptor_, &event, 1, timeout_ms);
    if (count < 0) return Outcome::Interrupted;
    return count > 0 ? Outcome::Readable : Outcome::TimeIsOver;
}

}  // namespace ebpf::platform
