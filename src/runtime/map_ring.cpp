// SPDX-License-Identifier: MIT
//
// Ring buffers with Linux's memory layout and records (kernel/bpf/ringbuf.c describes both; so does
// Documentation/bpf/ringbuf.rst): positions only grow, a record is an 8-byte header and data padded
// to 8 bytes, the header's first word is the length with a busy and a discard bit, the second the
// distance in pages to the ring's first page, so that a record leads back to its ring.
//
// The consumer's position is written by somebody else and is not trusted: a wrong one makes
// reservations fail or overwrites what he has not read, and touches nothing else. In particular no
// record is given out that overlaps one which a program still writes, whose header it would
// overwrite.
#include <cstring>
#include <new>

#include "platform/memory.hpp"
#include "runtime/map.hpp"
#include "runtime/runtime.hpp"
#include "spec/ring_buffer.hpp"

namespace ebpf::runtime {
namespace {

using spec::ring::kBusy;
using spec::ring::kDiscarded;
using spec::ring::kHeaderSize;
using spec::ring::record_bytes;

struct Header {
    u32 length;
    u32 pages;
};

// In the ring's private page.
struct Ring {
    Ring(const platform::RingMemory& m, const Map& map) : memory(m), owner(map) {}

    platform::RingMemory memory;
    const Map& owner;
    platform::SpinLock lock;
    u64 reserved = 0;  // the producer's position, where consumers cannot write it
    u64 pending = 0;   // everything before it is finished
    platform::Event ready;

    u64 mask() const { return memory.data_size - 1; }
    // What it takes, less than its memory where the system maps larger pieces.
    u64 capacity() const { return owner.max_entries; }
    std::atomic_ref<u64> consumer() const { return position(memory.consumer()); }
    std::atomic_ref<u64> producer() const { return position(memory.producer()); }

  private:
    static std::atomic_ref<u64> position(std::byte* page) {
        return std::atomic_ref<u64>(*reinterpret_cast<u64*>(page));
    }
};
static_assert(sizeof(Ring) <= platform::kPageSize);

Ring& ring_of(const Map& map) {
    return *static_cast<Ring*>(map.state);
}

Status create(Map& map) {
    TRY_ASSIGN(const platform::RingMemory memory, platform::create_ring(map.max_entries));
    map.state = new (memory.base) Ring(memory, map);
    return {};
}

void destroy(Map& map) {
    const platform::RingMemory memory = ring_of(map).memory;  // it lies in what goes
    platform::destroy_ring(memory);
}

// Moves `pending` on over finished records. Under the lock.
void pass_finished(Ring& ring) {
    while (ring.pending < ring.reserved) {
        auto* header = reinterpret_cast<Header*>(ring.memory.data() + (ring.pending & ring.mask()));
        const u32 length = std::atomic_ref(header->length).load(std::memory_order_acquire);
        if ((length & kBusy) != 0) return;
        ring.pending += record_bytes(spec::ring::data_bytes(length));
    }
}

}  // namespace

void* ring_reserve(Map& map, u64 size) {
    Ring& ring = ring_of(map);
    if (size > spec::ring::kMaxData || record_bytes(size) > ring.capacity()) return nullptr;
    platform::LockGuard guard(ring.lock);
    pass_finished(ring);
    const u64 end = ring.reserved + record_bytes(size);
    if (end - ring.consumer().load(std::memory_order_acquire) >= ring.capacity()) return nullptr;
    if (end - ring.pending >= ring.capacity()) return nullptr;
    std::byte* record = ring.memory.data() + (ring.reserved & ring.mask());
    auto* header = reinterpret_cast<Header*>(record);
    header->pages = static_cast<u32>((record - ring.memory.base) / platform::kPageSize);
    std::atomic_ref(header->length)
        .store(static_cast<u32>(size) | kBusy, std::memory_order_relaxed);
    ring.reserved = end;
    ring.producer().store(end, std::memory_order_release);
    return record + kHeaderSize;
}

namespace {

// The ring that a record lies in.
Ring& ring_around(std::byte* record) {
    const u32 pages = reinterpret_cast<Header*>(record)->pages;
    const u64 page = reinterpret_cast<u64>(record) & ~u64{platform::kPageSize - 1};
    return *reinterpret_cast<Ring*>(page - u64{pages} * platform::kPageSize);
}

}  // namespace

bool ring_finish(void* data, bool discard) {
    auto* record = static_cast<std::byte*>(data) - kHeaderSize;
    const Ring& ring = ring_around(record);
    std::atomic_ref length(reinterpret_cast<Header*>(record)->length);
    const u32 size = length.load(std::memory_order_relaxed) & ~kBusy;
    length.exchange(discard ? size | kDiscarded : size, std::memory_order_seq_cst);
    // Only a consumer that has read everything before this record can be asleep.
    const u64 position = static_cast<u64>(record - ring.memory.data());
    return (ring.consumer().load(std::memory_order_acquire) & ring.mask()) == position;
}

void ring_tell(const Map& map) {
    const Config& config = map.runtime->config();
    if (config.ring_ready != nullptr) config.ring_ready(config.ring_self, map.id);
}

void ring_commit(void* data, u64 flags, bool discard) {
    Ring& ring = ring_around(static_cast<std::byte*>(data) - kHeaderSize);
    const bool waiting = ring_finish(data, discard);
    if ((flags & kRingForceWakeup) == 0 && (!waiting || (flags & kRingNoWakeup) != 0)) return;
    ring.ready.signal();
    ring_tell(ring.owner);
}

Status ring_output(Map& map, const void* data, u64 size, u64 flags) {
    if ((flags & ~(kRingNoWakeup | kRingForceWakeup)) != 0)
        return fail(Errc::InvalidArgument, {}, "flags", flags);
    void* record = ring_reserve(map, size);
    if (record == nullptr) return fail(Errc::Again, {}, "ring buffer full");
    std::memcpy(record, data, size);
    ring_commit(record, flags, false);
    return {};
}

u64 ring_query(const Map& map, u64 what) {
    const Ring& ring = ring_of(map);
    const u64 consumer = ring.consumer().load(std::memory_order_acquire);
    const u64 producer = ring.producer().load(std::memory_order_acquire);
    const u64 answers[] = {producer - consumer, ring.capacity(), consumer, producer};
    return what < std::size(answers) ? answers[what] : 0;
}

bool ring_part(const Map& map, u32 part, MapMemory& memory) {
    const platform::RingMemory& ring = map.ops->ring(map);
    const u32 produced = ring.written_by == platform::RingProducer::Others ? kMemoryWrite : 0;
    if (part == 0) {
        memory.pages = {ring.consumer(), platform::kPageSize, ring.consumer_native};
        memory.access = kMemoryRead | (kMemoryWrite ^ produced);
    } else if (part == 1) {
        memory.pages = {ring.producer(), platform::kPageSize + ring.data_size,
                        ring.produced_native};
        memory.access = kMemoryRead | produced;
    }
    return memory.access != 0;
}

// A record that is reserved but not finished is no data yet; its end will signal.
bool ring_has_data(const Map& map) {
    const Ring& ring = ring_of(map);
    const u64 consumer = ring.consumer().load(std::memory_order_acquire);
    if (consumer == ring.producer().load(std::memory_order_acquire)) return false;
    auto* header =
        reinterpret_cast<Header*>(ring.memory.data() + (consumer & ring.mask() & ~u64{7}));
    return (std::atomic_ref(header->length).load(std::memory_order_acquire) & kBusy) == 0;
}

void ring_count_lost(Map& map) {
    auto* lost = reinterpret_cast<u64*>(ring_of(map).memory.producer() + spec::ring::kLostOffset);
    std::atomic_ref(*lost).fetch_add(1, std::memory_order_release);
}

namespace {

bool wait(Map& map, i32 timeout_ms) {
    Ring& ring = ring_of(map);
    const u32 ticket = ring.ready.ticket();
    if (ring_has_data(map) || timeout_ms == 0) return ring_has_data(map);
    return ring.ready.wait(ticket, timeout_ms) || ring_has_data(map);
}

const platform::RingMemory& ring(const Map& map) {
    return ring_of(map).memory;
}

}  // namespace

const MapOps kRingOps = {
    .create = create, .destroy = destroy, .ring = ring, .memory = ring_part, .wait = wait};

}  // namespace ebpf::runtime
