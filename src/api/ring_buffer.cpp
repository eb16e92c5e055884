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

// What is left in the ring makes its descriptor readable again.
void look_again(const Ring& ring) {
    spec::RingWaitAttr attr{.map_fd = static_cast<u32>(ring.map)};
    (void)api::bpf(spec::Command::RingWait, attr);
}

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
    look_again(ring);
    return status;
}

}  // namespace

struct ring_buffer {
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
    auto rb = std::make_unique<ring_buffer>();
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

// Waits for the first ring that has data; with several rings each is waited for a slice at a time.
int ring_buffer__poll(struct ring_buffer* rb, int timeout_ms) {
    if (!rb) return negative(EINVAL);
    constexpr int kSlice = 10;
    for (int waited = 0;;) {
        const i64 count = consume_all(rb);
        if (count < 0) return negative(static_cast<int>(-count));
        if (count > 0 || rb->rings.empty()) return static_cast<int>(count);
        if (timeout_ms >= 0 && waited >= timeout_ms) return 0;
        for (const Ring& ring : rb->rings) {
            int wait = rb->rings.size() == 1 ? timeout_ms : kSlice;
            if (timeout_ms >= 0 && wait > timeout_ms - waited) wait = timeout_ms - waited;
            spec::RingWaitAttr attr{.map_fd = static_cast<u32>(ring.map), .timeout_ms = wait};
            const auto ready = api::bpf(spec::Command::RingWait, attr);
            if (!ready) return negative(ready.error());
            if (*ready) break;
            waited += wait < 0 ? 0 : wait;
            if (timeout_ms >= 0 && waited >= timeout_ms) break;
        }
    }
}

}  // extern "C"
