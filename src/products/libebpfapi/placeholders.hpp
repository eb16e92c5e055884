// SPDX-License-Identifier: MIT
//
// Descriptors of the embedded shape on Linux. Each object's descriptor is one end of a pair of
// sockets of its own, whose other end stays with us:
//
// - It is known again by its socket's inode, which fstat() tells for the descriptor and every
// duplicate of it, however made (dup, dup2, fcntl, SCM_RIGHTS to ourselves). A number that was
// closed and
//   is in use again for something else has another inode: it is not mistaken.
// - When the last duplicate is closed, our end reports that it is hung up. An epoll set over our
//   ends says which in one call, and their handles are closed then: that happens at the next call
//   that makes or drops an object, not at the moment of close(2). A link whose descriptor the
//   application just closed therefore stays attached until then; bpf_link__destroy() closes at
//   once.
// - That of a ring buffer is readable when a consumer should look (service/ring_signals.hpp).
//
// A map that applications map (BPF_F_MMAPABLE) has the file of its pages for a descriptor instead,
// so that mmap() of it works, opened anew with the rights that the application has. It is known by
// the file's inode; several descriptors of one map share the first one's handle. Whether the last
// one is closed, and the last mapping gone, a lock tells: each opening has a shared flock(), which
// ends with it, and ours is refused an exclusive one until then.
//
// So an object costs two descriptors (and one epoll descriptor for all). They are close-on-exec; in
// a child after fork() they are the parent's objects no more: the child has its own copy of
// everything.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <unordered_map>
#include <vector>

#include "api/descriptors.hpp"
#include "products/service/ring_signals.hpp"

namespace ebpf::products {

class Placeholders : public api::Descriptors {
  public:
    // What stands behind a handle: a file, whose descriptor stays the execution context's; or a
    // ring buffer.
    struct Backing {
        int file = -1;       // -1: none
        int open_flags = 0;  // O_RDONLY, O_RDWR or O_WRONLY
        u32 ring = 0;        // the map's id; 0: none
    };
    // `close_handle` is called with handles whose descriptors are gone, `backing_of` with new ones,
    // `has_news` with those of rings.
    Placeholders(void* self, void (*close_handle)(void* self, u32 handle),
                 Backing (*backing_of)(void* self, u32 handle) = nullptr,
                 bool (*has_news)(void* self, u32 handle) = nullptr);
    ~Placeholders() override;

    Result<int> publish(u32 handle) override;
    Result<u32> handle(int descriptor) const override;
    void close(int descriptor) override;
    void sweep() override;
    void settle(int descriptor) override;
    void announce(int descriptor) override;

    service::RingSignals& rings() { return rings_; }

  private:
    struct Object {
        u32 handle;
        int ours;
        u32 ring;
    };
    struct Pages {
        u32 handle;
        int file;  // the execution context's
        dev_t device;
    };

    Result<int> publish_file(u32 handle, const Backing& backing);
    u32 ring(int descriptor) const;  // behind it: the map's id; 0: none
    void sweep_files(std::vector<u32>& gone);

    void* self_;
    void (*close_handle_)(void* self, u32 handle);
    Backing (*backing_of_)(void* self, u32 handle);
    bool (*has_news_)(void* self, u32 handle);
    service::RingSignals rings_;
    int epoll_ = -1;
    dev_t device_ = 0;  // of the file system of sockets; inodes are unique within it
    mutable std::mutex mutex_;
    std::unordered_map<ino_t, Object> objects_;
    std::unordered_map<ino_t, Pages> files_;
};

}  // namespace ebpf::products
