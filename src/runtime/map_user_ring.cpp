// SPDX-License-Identifier: MIT
//
// User ring buffers: records from applications, with the layout of the other direction
// (map_ring.cpp; Linux's is described by kernel/bpf/ringbuf.c). An application reserves a record
// with the busy bit and moves the producer's position past it, then fills it and clears the bit;
// programs drain finished records in order.
//
// Nobody who writes here is trusted. The producer's position and each header are read once, and
// what they say is checked before it is used: a record lies in front of the producer's position and
// is no larger than the ring, so that it lies in the data, which stands there twice. The consumer's
// position is kept where applications cannot write it. The bytes of a record may change at any
// time, also while a program reads them.
#include <new>

#include "platform/memory.hpp"
#include "runtime/dynptr.hpp"
#include "runtime/map.hpp"
#include "runtime/runtime.hpp"
#include "spec/ring_buffer.hpp"

namespace ebpf::runtime {
namespace {

// In the ring's private page.
struct UserRing {
    explicit UserRing(const platform::RingMemory& m) : memory(m) {}

    platform::RingMemory memory;
    std::atomic<u32> busy{0};  // somebody drains
    u64 consumed = 0;          // the consumer's position; whoever drains writes it
    platform::Event room;

    void pass(u64 bytes) {
        consumed += bytes;
        std::atomic_ref(*reinterpret_cast<u64*>(memory.consumer()))
            .store(consumed, std::memory_order_release);
    }
    u64 produced() const {
        return std::atomic_ref(*reinterpret_cast<u64*>(memory.producer()))
            .load(std::memory_order_acquire);
    }
};
static_assert(sizeof(UserRing) <= platform::kPageSize);

UserRing& ring_of(const Map& map) {
    return *static_cast<UserRing*>(map.state);
}

Status create(Map& map) {
    TRY_ASSIGN(const platform::RingMemory memory,
               platform::create_ring(map.max_entries, platform::RingProducer::Others));
    map.state = new (memory.base) UserRing(memory);
    return {};
}

void destroy(Map& map) {
    const platform::RingMemory memory = ring_of(map).memory;  // it lies in what goes
    platform::destroy_ring(memory);
}

const platform::RingMemory& ring(const Map& map) {
    return ring_of(map).memory;
}

struct Record {
    std::byte* data = nullptr;  // null: none that is finished
    u32 size = 0;
    bool discarded = false;
};

Result<Record> next_record(const UserRing& ring) {
    const u64 produced = ring.produced();
    if (produced % 8 != 0) return fail(Errc::InvalidArgument, {}, "producer's position", produced);
    if (ring.consumed >= produced) return Record{};
    std::byte* const at = ring.memory.data() + (ring.consumed & (ring.memory.data_size - 1));
    const u32 header = std::atomic_ref(*reinterpret_cast<u32*>(at)).load(std::memory_order_acquire);
    const u32 size = spec::ring::data_bytes(header);
    const u64 bytes = spec::ring::record_bytes(size);
    if (bytes > produced - ring.consumed) return fail(Errc::InvalidArgument, {}, "record", size);
    if (bytes > ring.memory.data_size || size > kMaxDynptrSize) {
        return fail(Errc::TooLarge, {}, "record", size);
    }
    const bool discarded = (header & spec::ring::kDiscarded) != 0;
    if (!discarded && (header & spec::ring::kBusy) != 0) return Record{};
    return Record{at + spec::ring::kHeaderSize, size, discarded};
}

// The number of records that were handed out; those looked at are counted also before an error.
Result<u64> drain(UserRing& ring, const RecordTaker& taker, u64& looked_at) {
    u64 handed_out = 0;
    for (bool more = true; more && looked_at < kMaxDrained; ++looked_at) {
        TRY_ASSIGN(const Record record, next_record(ring));
        if (record.data == nullptr) break;
        if (!record.discarded) {
            more = taker.take(taker.self, record.data, record.size);
            ++handed_out;
        }
        ring.pass(spec::ring::record_bytes(record.size));
    }
    return handed_out;
}

// True at once when there is room for whatever fits at all; else when records were drained.
bool wait(Map& map, i32 timeout_ms) {
    UserRing& ring = ring_of(map);
    const u32 ticket = ring.room.ticket();
    const u64 consumed = std::atomic_ref(*reinterpret_cast<u64*>(ring.memory.consumer()))
                             .load(std::memory_order_acquire);
    if (consumed >= ring.produced()) return true;
    return timeout_ms != 0 && ring.room.wait(ticket, timeout_ms);
}

}  // namespace

Result<u64> user_ring_drain(Map& map, u64 flags, const RecordTaker& taker) {
    if ((flags & ~(kRingNoWakeup | kRingForceWakeup)) != 0)
        return fail(Errc::InvalidArgument, {}, "flags", flags);
    UserRing& ring = ring_of(map);
    if (ring.busy.exchange(1, std::memory_order_acquire) != 0) {
        return fail(Errc::Busy, {}, "another one drains the ring");
    }
    u64 looked_at = 0;
    const Result<u64> result = drain(ring, taker, looked_at);
    ring.busy.store(0, std::memory_order_release);
    const bool wakes = looked_at != 0 && (flags & kRingNoWakeup) == 0;
    if (wakes || (flags & kRingForceWakeup) != 0) ring.room.signal();
    return result;
}

const MapOps kUserRingOps = {
    .create = create, .destroy = destroy, .ring = ring, .memory = ring_part, .wait = wait};

}  // namespace ebpf::runtime
