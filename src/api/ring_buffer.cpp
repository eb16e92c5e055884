// SPDX-License-Identifier: MIT
//
// ring_buffer__*: the consumer's side of ring buffer maps.
#include <bpf/libbpf.h>

#include <cerrno>
#include <climits>
#include <memory>
#include <vector>

#include "api/errors.hpp"
#include "api/opts.hpp"
#include "api/poll.hpp"
#include "api/ring_reader.hpp"
#include "api/session.hpp"

using namespace ebpf;
using api::negative;

namespace {

struct Ring {
    int map;  // the application's descriptor
    ring_buffer_sample_fn callback;
    void* context;
    api::RingReader reader;
};

// Hands finished records to the callback until there is none, at most `limit`. The number of them,
// or the negative value that the callback returned; that record counts as consumed.
i64 consume(const Ring& ring, i64 limit) {
    api::session()->descriptors->settle(ring.map);
    int status = 0;
    const i64 count = ring.reader.consume(limit, [&](std::byte* data, u32 size) {
        status = ring.callback(ring.context, data, size);
        return status >= 0;
    });
    if (status >= 0) return count;
    if (!ring.reader.empty()) api::session()->descriptors->announce(ring.map);
    return status;
}

}  // namespace

struct ring_buffer {
    platform::PollSet waiting;  // the rings' descriptors
    std::vector<Ring> rings;
};

namespace {

i64 consume_all(ring_buffer* rb) {
    i64 total = 0;
    for (const Ring& ring : rb->rings) {
        const i64 count = consume(ring, INT_MAX - total);
        if (count < 0) return count;
        total += count;
    }
    return total;
}

}  // namespace

extern "C" {

struct ring_buffer* ring_buffer__new(int map_fd, ring_buffer_sample_fn sample_cb, void* ctx,
                                     const struct ring_buffer_opts* opts) {
    if (!api::valid(opts)) return api::null(EINVAL);
    auto waiting = platform::PollSet::create();
    if (!waiting) return api::null(waiting.error());
    auto rb = std::make_unique<ring_buffer>(std::move(*waiting));
    if (const int status = ring_buffer__add(rb.get(), map_fd, sample_cb, ctx); status < 0) {
        return api::null(-status);
    }
    return rb.release();
}

int ring_buffer__add(struct ring_buffer* rb, int map_fd, ring_buffer_sample_fn sample_cb,
                     void* ctx) {
    if (!rb || !sample_cb) return negative(EINVAL);
    const auto reader = api::RingReader::open(map_fd);
    if (!reader) return negative(reader.error());
    if (const Status added = api::wait_also_for(map_fd, rb->waiting); !added) {
        reader->unmap();
        return negative(added.error());
    }
    rb->rings.push_back({map_fd, sample_cb, ctx, *reader});
    return 0;
}

void ring_buffer__free(struct ring_buffer* rb) {
    if (!rb) return;
    for (const Ring& ring : rb->rings) {
        ring.reader.unmap();
    }
    delete rb;
}

int ring_buffer__consume(struct ring_buffer* rb) {
    if (!rb) return negative(EINVAL);
    const i64 count = consume_all(rb);
    return count < 0 ? negative(static_cast<int>(-count)) : static_cast<int>(count);
}

int ring_buffer__poll(struct ring_buffer* rb, int timeout_ms) {
    if (!rb) return negative(EINVAL);
    return api::poll(rb->waiting, timeout_ms, [&] { return consume_all(rb); });
}

int ring_buffer__epoll_fd(const struct ring_buffer* rb) {
    return rb ? api::descriptor_of(rb->waiting) : negative(EINVAL);
}

}  // extern "C"
