// SPDX-License-Identifier: MIT
//
// The door to the execution context of ebpfsvc (products/service/protocol.hpp says what is sent).
// Each call takes a connection from a pool, so that threads do not wait for each other. Handles are
// the daemon's. What the process knows of an object it keeps (known_objects.hpp); a descriptor that
// came from elsewhere (inherited, passed over a socket) is presented to the daemon when it is first
// used.
//
// When the daemon goes, calls under way fail, and what it held is gone: descriptors of it are
// invalid from then on. A later call connects anew. A child after fork() makes connections of its
// own; the descriptors it inherited are good there.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/session.hpp"
#include "products/libebpfapi/known_objects.hpp"
#include "products/service/channel.hpp"

namespace ebpf::products {

class RemoteService : public api::Descriptors {
  public:
    explicit RemoteService(std::string path) : path_(std::move(path)) {}

    // Whether the daemon answers; learns how many execution slots it has.
    Result<u32> slots();
    spec::Door door();

    Result<int> publish(u32 handle) override;
    Result<u32> handle(int descriptor) const override;
    void close(int descriptor) override;
    void sweep() override { known_.sweep(); }
    void settle(int ring) override;
    void announce(int ring) override;
    void unmap_ring(u64 consumer) override;

    // Around fork(): nothing is half done in the child, which forgets its parent's connections.
    void before_fork();
    void after_fork(bool in_child);

  private:
    struct Connection {
        explicit Connection(service::Channel its_channel) : channel(std::move(its_channel)) {}
        service::Channel channel;
        service::Packet packet;
        std::vector<std::byte> request;
    };
    using Lease = std::unique_ptr<Connection>;
    static constexpr size_t kIdle = 16;  // connections that are kept

    Result<Lease> take() const;
    void give_back(Lease connection) const;
    void lost(Lease connection) const;
    // Sends and receives; the answer's error is returned as such.
    Status exchange(Lease& connection, const service::Frame& frame, Bytes payload,
                    std::span<const int> descriptors) const;

    Result<i64> call(const spec::Caller& caller, spec::Command command, void* attr);
    Result<i64> send(const spec::Caller& caller, spec::Command command, void* attr);
    Result<i64> lookup(const spec::Caller& caller, spec::MapLookupElemAttr& attr);
    struct Pages {
        Fd file;
        u64 size = 0;
        u32 access = 0;  // runtime::kMemoryRead, kMemoryWrite
        wire::Shape map{};
    };
    Result<Pages> pages(u32 handle, u64 part) const;
    Result<i64> ring_map(spec::RingMapAttr& attr);
    Result<i64> ring_wait(const spec::Caller& caller, spec::RingWaitAttr& attr);

    std::string path_;
    mutable std::mutex pool_mutex_;
    mutable std::vector<Lease> idle_;
    mutable std::vector<int> open_;  // descriptors of all connections
    mutable u64 secret_[2] = {};
    mutable u32 slots_ = 0;

    mutable KnownObjects known_;
    mutable std::mutex objects_mutex_;
    std::unordered_map<u32, Fd> new_;  // received, not published yet; by handle
    struct MappedRing {
        spec::RingMapAttr at;
        u32 map = 0;  // its id; 0: of a daemon that is gone
        u32 users = 1;
    };
    mutable std::vector<MappedRing> rings_;
    std::atomic<u64> ids_{0};
};

}  // namespace ebpf::products
