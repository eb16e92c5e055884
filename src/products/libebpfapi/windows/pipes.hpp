// SPDX-License-Identifier: MIT
//
// Descriptors of the embedded shape on Windows: the C library's, which applications _close() and
// _dup(). Each object's is the client's end of a named pipe of its own, whose other end stays with
// us:
//
// - It is known again by the pipe's name, which the system tells for the descriptor and every
//   duplicate of it. A number that was closed and is in use again for something else has another
//   name, or none: it is not mistaken.
// - When the last duplicate is closed, our end is broken. The handles of those are closed at the
//   next call that makes or drops an object, not at the moment of _close(); bpf_link__destroy()
//   closes at once. Each such call asks every pipe; the C library has room for some thousands.
// - A ring's consumers wait for an event of each descriptor, which platform::PollSet takes. The
//   descriptor itself is never readable.
//
// They are not inherited by child processes. A map's pages (BPF_F_MMAPABLE) are mapped by
// bpf_map__initial_value() only: a descriptor has no mmap() here.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

#include "api/session.hpp"

namespace ebpf::products {

class Pipes : public api::Descriptors {
  public:
    explicit Pipes(api::Session& session);

    Result<int> publish(u32 handle) override;
    Result<u32> handle(int descriptor) const override;
    Result<i64> native(int descriptor) const override;
    void close(int descriptor) override;
    void sweep() override;
    void settle(int descriptor) override;
    void announce(int descriptor) override;

    // There is something in the ring of the map with this id. By programs while they run, too.
    void ring_ready(u32 map);

  private:
    struct Object {
        u32 handle = 0;
        void* ours = nullptr;  // a HANDLE
        u32 ring = 0;          // the map's id; 0: none
        void* event = nullptr;
        i64 pages = -1;  // SharedMemory::native of what applications map
    };

    Status learn(Object& object) const;
    Result<Object> find(int descriptor) const;
    void forget(const Object& object);

    api::Session& session_;
    std::wstring prefix_;  // of all names; the object's number follows
    mutable std::mutex mutex_;
    u64 made_ = 0;
    std::unordered_map<u64, Object> objects_;
    std::mutex rings_mutex_;
    std::unordered_multimap<u32, void*> rings_;  // events
};

}  // namespace ebpf::products
