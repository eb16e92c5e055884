// SPDX-License-Identifier: MIT
//
// perf_buffer__*: samples from a perf event array. Each CPU's ring is a ring buffer map of its own,
// made here and put into the array; its records have performance events' headers inside
// (runtime/map_perf.cpp).
#include <bpf/libbpf.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <vector>

#include "api/errors.hpp"
#include "api/opts.hpp"
#include "api/poll.hpp"
#include "api/ring_reader.hpp"
#include "platform/memory.hpp"
#include "spec/perf_record.hpp"

using namespace ebpf;
using api::negative;

namespace {

// Who gets the records: either the first function or the other two.
struct Callbacks {
    perf_buffer_event_fn event = nullptr;
    perf_buffer_sample_fn sample = nullptr;
    perf_buffer_lost_fn lost = nullptr;
    void* context = nullptr;

    bpf_perf_event_ret give(int cpu, spec::perf::RecordHeader* header) const {
        return event(context, cpu, reinterpret_cast<perf_event_header*>(header));
    }
};

// A ring in its place in the array, and its descriptor.
class CpuBuffer {
  public:
    CpuBuffer(int array, int cpu, int ring, const api::RingReader& reader)
        : array_(array), cpu_(cpu), ring_(ring), reader_(reader) {}
    CpuBuffer(CpuBuffer&& other) noexcept
        : array_(other.array_),
          cpu_(other.cpu_),
          ring_(other.ring_),
          reader_(other.reader_),
          lost_(other.lost_) {
        other.ring_ = -1;
    }
    CpuBuffer& operator=(CpuBuffer&&) = delete;
    ~CpuBuffer() {
        if (ring_ < 0) return;
        const int before = errno;
        (void)bpf_map_delete_elem(array_, &cpu_);
        reader_.unmap();
        api::close_descriptor(ring_);
        errno = before;
    }

    int descriptor() const { return ring_; }
    // Whether there is something to process, which the descriptor says no longer then.
    bool look() const {
        api::session()->descriptors->settle(ring_);
        return has_news();
    }

    // Everything that is there. 0, or what a callback ended with.
    int process(const Callbacks& to) {
        bpf_perf_event_ret status = LIBBPF_PERF_EVENT_CONT;
        reader_.consume(LLONG_MAX, [&](std::byte* data, u32 size) {
            status = sample(to, data, size);
            return status == LIBBPF_PERF_EVENT_CONT;
        });
        if (status == LIBBPF_PERF_EVENT_CONT) status = losses(to);
        if (status == LIBBPF_PERF_EVENT_CONT) return 0;
        if (has_news()) api::session()->descriptors->announce(ring_);
        return status;
    }

  private:
    bool has_news() const { return !reader_.empty() || reader_.lost() != lost_; }

    bpf_perf_event_ret sample(const Callbacks& to, std::byte* data, u32 size) const {
        auto* record = reinterpret_cast<spec::perf::SampleRecord*>(data);
        const bool whole = size >= sizeof *record && record->header.type == spec::perf::kSample &&
                           record->size <= size - sizeof *record;
        if (!whole) {
            api::print(LIBBPF_WARN, "libbpf: cpu %d: a record that is no sample\n", cpu_);
            return LIBBPF_PERF_EVENT_ERROR;
        }
        if (to.event) return to.give(cpu_, &record->header);
        if (to.sample) to.sample(to.context, cpu_, data + sizeof *record, record->size);
        return LIBBPF_PERF_EVENT_CONT;
    }

    bpf_perf_event_ret losses(const Callbacks& to) {
        const u64 lost = reader_.lost() - lost_;
        if (lost == 0) return LIBBPF_PERF_EVENT_CONT;
        lost_ += lost;
        if (to.event) {
            spec::perf::LostRecord record{
                .header = {.type = spec::perf::kLost, .size = sizeof record}, .lost = lost};
            return to.give(cpu_, &record.header);
        }
        if (to.lost) to.lost(to.context, cpu_, lost);
        return LIBBPF_PERF_EVENT_CONT;
    }

    int array_;
    int cpu_;
    int ring_;
    api::RingReader reader_;
    u64 lost_ = 0;  // told of
};

Result<CpuBuffer> open_cpu(int array, int cpu, size_t page_count) {
    const int ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "perf_ring", 0, 0,
                                    static_cast<u32>(page_count * platform::kPageSize), nullptr);
    if (ring < 0) return fail(ring == -EPERM ? Errc::AccessDenied : Errc::NoMemory, {}, "ring");
    const auto reader = api::RingReader::open(ring);
    if (!reader) {
        api::close_descriptor(ring);
        return std::unexpected(reader.error());
    }
    spec::MapUpdateElemAttr attr{
        .map_fd = static_cast<u32>(array), .key = api::address(&cpu), .value = api::address(&ring)};
    if (const auto put = api::bpf(spec::Command::MapUpdateElem, attr); !put) {
        reader->unmap();
        api::close_descriptor(ring);
        return std::unexpected(put.error());
    }
    return CpuBuffer(array, cpu, ring, *reader);
}

}  // namespace

struct perf_buffer {
    platform::PollSet waiting;  // the rings' descriptors
    Callbacks callbacks;
    std::vector<CpuBuffer> buffers;
};

namespace {

constexpr size_t kMaxPages = (size_t{1} << 31) / platform::kPageSize;

// The CPUs that have a ring when the caller names none.
Result<std::vector<int>> all_cpus(int map_fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(map_fd, &info, &size) < 0) return fail(Errc::InvalidFd);
    if (info.type != BPF_MAP_TYPE_PERF_EVENT_ARRAY) return fail(Errc::InvalidArgument);
    const u32 possible = api::session()->possible_cpus;
    std::vector<int> cpus(info.max_entries < possible ? info.max_entries : possible);
    for (size_t i = 0; i < cpus.size(); ++i) cpus[i] = static_cast<int>(i);
    return cpus;
}

perf_buffer* open_all(int map_fd, size_t page_count, const Callbacks& callbacks,
                      const perf_buffer_raw_opts& opts) {
    if (page_count == 0 || (page_count & (page_count - 1)) != 0 || page_count > kMaxPages) {
        api::print(LIBBPF_WARN, "libbpf: page count should be power of two, but is %zu\n",
                   page_count);
        return api::null(EINVAL);
    }
    auto cpus = all_cpus(map_fd);
    if (!cpus) return api::null(cpus.error());
    if (opts.cpu_cnt > 0) {
        if (!opts.cpus || !opts.map_keys) return api::null(EINVAL);
        cpus->assign(opts.cpus, opts.cpus + opts.cpu_cnt);
        for (size_t i = 0; i < cpus->size(); ++i) {
            if (opts.map_keys[i] != (*cpus)[i]) return api::null(EOPNOTSUPP);
        }
    }
    auto waiting = platform::PollSet::create();
    if (!waiting) return api::null(waiting.error());
    auto pb = std::make_unique<perf_buffer>(std::move(*waiting), callbacks);
    pb->buffers.reserve(cpus->size());
    for (const int cpu : *cpus) {
        auto opened = open_cpu(map_fd, cpu, page_count);
        if (!opened) return api::null(opened.error());
        const Status added = api::wait_also_for(opened->descriptor(), pb->waiting);
        if (!added) return api::null(added.error());
        pb->buffers.push_back(std::move(*opened));
    }
    return pb.release();
}

// The number of rings that had something, or what a callback ended with.
int process_all(perf_buffer& pb) {
    int count = 0;
    for (CpuBuffer& buffer : pb.buffers) {
        if (!buffer.look()) continue;
        if (const int status = buffer.process(pb.callbacks); status != 0) return status;
        ++count;
    }
    return count;
}

}  // namespace

extern "C" {

struct perf_buffer* perf_buffer__new(int map_fd, size_t page_cnt, perf_buffer_sample_fn sample_cb,
                                     perf_buffer_lost_fn lost_cb, void* ctx,
                                     const struct perf_buffer_opts* opts) {
    if (!api::valid(opts)) return api::null(EINVAL);
    return open_all(map_fd, page_cnt, {.sample = sample_cb, .lost = lost_cb, .context = ctx}, {});
}

struct perf_buffer* perf_buffer__new_raw(int map_fd, size_t page_cnt, struct perf_event_attr* attr,
                                         perf_buffer_event_fn event_cb, void* ctx,
                                         const struct perf_buffer_raw_opts* opts) {
    if (!attr || !event_cb || !api::valid(opts)) return api::null(EINVAL);
    spec::perf::EventAttr wanted;
    std::memcpy(&wanted, attr, sizeof wanted);
    if (!wanted.is_program_output()) {
        api::print(LIBBPF_WARN, "libbpf: perf events other than BPF_OUTPUT with RAW samples\n");
        return api::null(EOPNOTSUPP);
    }
    return open_all(map_fd, page_cnt, {.event = event_cb, .context = ctx}, api::known(opts));
}

void perf_buffer__free(struct perf_buffer* pb) {
    delete pb;
}

int perf_buffer__epoll_fd(const struct perf_buffer* pb) {
    return pb ? api::descriptor_of(pb->waiting) : negative(EINVAL);
}

int perf_buffer__poll(struct perf_buffer* pb, int timeout_ms) {
    if (!pb) return negative(EINVAL);
    return api::poll(pb->waiting, timeout_ms, [&] { return process_all(*pb); });
}

int perf_buffer__consume(struct perf_buffer* pb) {
    if (!pb) return negative(EINVAL);
    const int count = process_all(*pb);
    return count < 0 ? negative(-count) : 0;
}

int perf_buffer__consume_buffer(struct perf_buffer* pb, size_t buf_idx) {
    if (!pb || buf_idx >= pb->buffers.size()) return negative(EINVAL);
    CpuBuffer& buffer = pb->buffers[buf_idx];
    const int status = buffer.look() ? buffer.process(pb->callbacks) : 0;
    return status == 0 ? 0 : negative(-status);
}

size_t perf_buffer__buffer_cnt(const struct perf_buffer* pb) {
    return pb ? pb->buffers.size() : 0;
}

int perf_buffer__buffer_fd(const struct perf_buffer* pb, size_t buf_idx) {
    if (!pb || buf_idx >= pb->buffers.size()) return negative(EINVAL);
    return pb->buffers[buf_idx].descriptor();
}

}  // extern "C"
