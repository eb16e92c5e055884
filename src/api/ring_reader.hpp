// SPDX-License-Identifier: MIT
//
// A ring buffer's memory, and its consumer's side. It has Linux's layout: a page with the
// consumer's position, a page with the producer's, and the data, mapped twice in a row so that no
// record is split. A record is an 8-byte header, whose first word is the length with two flag bits,
// and the data, padded to 8 bytes.
#pragma once

#include <atomic>

#include "api/bpf.hpp"
#include "spec/ring_buffer.hpp"

namespace ebpf::api {

// Where a ring lies, and how many bytes of records it takes: max_entries, which is less than what
// is mapped where the system maps larger pieces.
struct MappedRing {
    spec::RingMapAttr at;
    u64 capacity;
};

// The memory of the ring behind a descriptor, which is a map of this type: InvalidArgument for
// another. Errors: those of the commands.
inline Result<MappedRing> map_ring(int map_fd, bpf_map_type type) {
    bpf_map_info info{};
    spec::ObjGetInfoByFdAttr asked{
        .bpf_fd = static_cast<u32>(map_fd), .info_len = sizeof info, .info = address(&info)};
    TRY(api::bpf(spec::Command::ObjGetInfoByFd, asked));
    if (info.type != type) return fail(Errc::InvalidArgument, {}, "not a ring buffer", info.type);
    spec::RingMapAttr ring{.map_fd = static_cast<u32>(map_fd)};
    TRY(api::bpf(spec::Command::RingMap, ring));
    return MappedRing{ring, info.max_entries};
}

// It is no longer used here.
inline void unmap_ring(u64 consumer) {
    session()->descriptors->unmap_ring(consumer);
}

class RingReader {
  public:
    // Of the ring behind a descriptor. Errors: those of map_ring().
    static Result<RingReader> open(int map_fd) {
        TRY_ASSIGN(const MappedRing ring, map_ring(map_fd, BPF_MAP_TYPE_RINGBUF));
        const spec::RingMapAttr& attr = ring.at;
        RingReader reader;
        reader.consumer_ = reinterpret_cast<std::atomic<u64>*>(attr.consumer);
        reader.producer_ = reinterpret_cast<const std::atomic<u64>*>(attr.producer);
        reader.lost_ =
            reinterpret_cast<const std::atomic<u64>*>(attr.producer + spec::ring::kLostOffset);
        reader.data_ = reinterpret_cast<std::byte*>(attr.data);
        reader.mask_ = attr.data_size - 1;
        return reader;
    }

    // Hands finished records to take(data, size) until there is none, `limit` were taken, or it
    // answers false; the record that it saw then counts as taken. The number of them.
    template <typename Take>
    i64 consume(i64 limit, const Take& take) const {
        i64 count = 0;
        u64 position = consumer_->load(std::memory_order_acquire);
        while (count < limit && position < producer_->load(std::memory_order_acquire)) {
            std::byte* const record = data_ + (position & mask_);
            const u32 header = std::atomic_ref<u32>(*reinterpret_cast<u32*>(record))
                                   .load(std::memory_order_acquire);
            if (header & spec::ring::kBusy) break;
            const u32 size = spec::ring::data_bytes(header);
            position += spec::ring::record_bytes(size);
            const bool discarded = (header & spec::ring::kDiscarded) != 0;
            const bool more = discarded || take(record + spec::ring::kHeaderSize, size);
            consumer_->store(position, std::memory_order_release);
            count += discarded ? 0 : 1;
            if (!more) break;
        }
        return count;
    }

    // The ring is no longer read here.
    void unmap() const { unmap_ring(reinterpret_cast<u64>(consumer_)); }

    bool empty() const {
        return consumer_->load(std::memory_order_acquire) ==
               producer_->load(std::memory_order_acquire);
    }
    // How many records did not fit so far, where the ring counts them.
    u64 lost() const { return lost_->load(std::memory_order_acquire); }

  private:
    std::atomic<u64>* consumer_ = nullptr;
    const std::atomic<u64>* producer_ = nullptr;
    const std::atomic<u64>* lost_ = nullptr;
    std::byte* data_ = nullptr;
    u64 mask_ = 0;
};

}  // namespace ebpf::api
