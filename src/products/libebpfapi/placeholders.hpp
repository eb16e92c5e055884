// SPDX-License-Identifier: MIT
//
// Descriptors of the embedded shape on Linux. Each object's descriptor is the read end of a pipe of
// its own, whose write end stays with us:
//
// - It is known again by the pipe's inode, which fstat() tells for the descriptor and every
// duplicate
//   of it, however made (dup, dup2, fcntl, SCM_RIGHTS to ourselves). A number that was closed and
//   is in use again for something else has another inode: it is not mistaken.
// - When the last duplicate is closed, the write end reports an error. An epoll set over the write
//   ends says which in one call, and their handles are closed then: that happens at the next call
//   that makes or drops an object, not at the moment of close(2). A link whose descriptor the
//   application just closed therefore stays attached until then; bpf_link__destroy() closes at
//   once.
//
// So an object costs two descriptors (and one epoll descriptor for all). They are close-on-exec; in
// a child after fork() they are the parent's objects no more: the child has its own copy of
// everything.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <unordered_map>

#include "api/descriptors.hpp"

namespace ebpf::products {

class Placeholders : public api::Descriptors {
  public:
    // `close_handle` is called with handles whose descriptors are gone.
    Placeholders(void* self, void (*close_handle)(void* self, u32 handle));
    ~Placeholders() override;

    Result<int> publish(u32 handle) override;
    Result<u32> handle(int descriptor) const override;
    void close(int descriptor) override;
    void sweep() override;

  private:
    struct Object {
        u32 handle;
        int write_end;
    };

    void* self_;
    void (*close_handle_)(void* self, u32 handle);
    int epoll_ = -1;
    dev_t device_ = 0;  // of the pipe file system; inodes are unique within it
    mutable std::mutex mutex_;
    std::unordered_map<ino_t, Object> objects_;
};

}  // namespace ebpf::products
