// SPDX-License-Identifier: MIT
//
// user_ring_buffer__*: the producer's side of user ring buffer maps. Records have the layout of the
// other direction (ring_reader.hpp): one is reserved by a header with the busy bit and by moving
// the producer's position past it, and finished by clearing the bit. Reserving is for one thread at
// a time; finishing is for any.
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "api/errors.hpp"
#include "api/opts.hpp"
#include "api/ring_reader.hpp"
#include "platform/system.hpp"

using namespace ebpf;

struct user_ring_buffer {
    int map;  // the application's descriptor
    spec::RingMapAttr memory;
    u64 capacity;

    std::atomic<u64>& position(u64 page) const {
        return *reinterpret_cast<std::atomic<u64>*>(page);
    }
    std::byte* data() const { return reinterpret_cast<std::byte*>(memory.data); }
    u64 mask() const { return memory.data_size - 1; }
    // Of the record at a byte of the data, which stands there twice.
    std::atomic_ref<u32> header(u64 at) const {
        return std::atomic_ref<u32>(*reinterpret_cast<u32*>(data() + (at & mask())));
    }
};

namespace {

void finish(const user_ring_buffer* rb, void* sample, bool discard) {
    const u64 at = static_cast<u64>(static_cast<std::byte*>(sample) - rb->data());
    const std::atomic_ref<u32> header = rb->header(at - spec::ring::kHeaderSize);
    const u32 size = spec::ring::data_bytes(header.load(std::memory_order_relaxed));
    header.store(discard ? size | spec::ring::kDiscarded : size, std::memory_order_release);
}

}  // namespace

extern "C" {

struct user_ring_buffer* user_ring_buffer__new(int map_fd,
                                               const struct user_ring_buffer_opts* opts) {
    if (!api::valid(opts)) return api::null(EINVAL);
    const auto memory = api::map_ring(map_fd, BPF_MAP_TYPE_USER_RINGBUF);
    if (!memory) return api::null(memory.error());
    return std::make_unique<user_ring_buffer>(map_fd, memory->at, memory->capacity).release();
}

void user_ring_buffer__free(struct user_ring_buffer* rb) {
    if (!rb) return;
    api::unmap_ring(rb->memory.consumer);
    delete rb;
}

void* user_ring_buffer__reserve(struct user_ring_buffer* rb, __u32 size) {
    const u64 bytes = spec::ring::record_bytes(size);
    if (size > spec::ring::kMaxData || bytes > rb->capacity) return api::null(E2BIG);
    const u64 consumed = rb->position(rb->memory.consumer).load(std::memory_order_acquire);
    std::atomic<u64>& producer = rb->position(rb->memory.producer);
    const u64 produced = producer.load(std::memory_order_relaxed);
    if (produced - consumed > rb->capacity - bytes) return api::null(ENOSPC);
    rb->header(produced).store(size | spec::ring::kBusy, std::memory_order_relaxed);
    producer.store(produced + bytes, std::memory_order_release);
    return rb->data() + ((produced + spec::ring::kHeaderSize) & rb->mask());
}

// A drain between the look at the ring and the wait is not waited for, so each wait is short.
void* user_ring_buffer__reserve_blocking(struct user_ring_buffer* rb, __u32 size, int timeout_ms) {
    constexpr i64 kSlice = 10;
    const u64 start = platform::monotonic_ns();
    for (;;) {
        void* const sample = user_ring_buffer__reserve(rb, size);
        if (sample || errno != ENOSPC) return sample;
        i64 left = kSlice;
        if (timeout_ms >= 0) {
            left = timeout_ms - static_cast<i64>((platform::monotonic_ns() - start) / 1'000'000);
            if (left <= 0) return api::null(ENOSPC);
        }
        spec::RingWaitAttr attr{.map_fd = static_cast<u32>(rb->map),
                                .timeout_ms = static_cast<i32>(std::min(left, kSlice))};
        if (const auto ready = api::bpf(spec::Command::RingWait, attr); !ready) {
            return api::null(ready.error());
        }
    }
}

void user_ring_buffer__submit(struct user_ring_buffer* rb, void* sample) {
    finish(rb, sample, false);
}

void user_ring_buffer__discard(struct user_ring_buffer* rb, void* sample) {
    finish(rb, sample, true);
}

}  // extern "C"
