// SPDX-License-Identifier: MIT
//
// Between an application's descriptors and the door's handles. libbpf's users expect descriptors of
// the process: they close(2), dup(2) and poll(2) them. In the embedded shape nothing of the kernel
// stands behind an object, so each descriptor is a placeholder, and this is the map from it to the
// handle. The composition root provides the implementation for its system.
#pragma once

#include "base/error.hpp"

namespace ebpf::api {

class Descriptors {
  public:
    virtual ~Descriptors() = default;

    // A new descriptor for `handle`, which it owns from now on: the handle is closed when the
    // descriptor and all its duplicates are. Errors: NoMemory, OutOfSpace (no descriptors left).
    virtual Result<int> publish(u32 handle) = 0;

    // The handle behind a descriptor or a duplicate of it. InvalidFd when it is closed,
    // InvalidArgument when it is open but none of ours, also when it was, and its number is another
    // file's now.
    virtual Result<u32> handle(int descriptor) const = 0;

    // What platform::PollSet waits for and platform::SectionMemory maps for the object behind a
    // descriptor: itself, where descriptors are the system's. InvalidArgument when there is nothing
    // to wait for or to map; where the system says so itself, it does.
    virtual Result<i64> native(int descriptor) const { return descriptor; }

    // Closes a descriptor of ours and, when it was the last of its object, the handle.
    virtual void close(int descriptor) = 0;

    // Closes the handles whose descriptors are gone. Called wherever objects are made or dropped.
    virtual void sweep() = 0;

    // A ring buffer's descriptor is readable when its consumer should look. settle() takes that
    // back: whoever calls it reads the ring then. announce(): there is something left in it.
    virtual void settle(int) {}
    virtual void announce(int) {}
    // The memory that RING_MAP gave, known by its consumer's page, is not used any more.
    virtual void unmap_ring(u64) {}
};

}  // namespace ebpf::api
