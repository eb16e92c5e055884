// SPDX-License-Identifier: MIT
//
// Samples for applications: a perf event array has at each index a ring buffer (map_ring.cpp),
// which the programs write that run in the slot of this number. On Linux the rings are performance
// events' and their records those of linux/perf_event.h; here such a record is what a ring's record
// has as data: a header of type, flags and size, the size of the sample as 32 bits, and the sample,
// padded so that the whole is a multiple of 8 bytes.
//
// What does not fit is counted in the ring's memory at once, so that the consumer sees every loss,
// also one after which nothing more is written (Linux tells of losses with the next record).
#include <cstring>

#include "runtime/map.hpp"
#include "runtime/runtime.hpp"
#include "spec/perf_record.hpp"

namespace ebpf::runtime {
namespace {

using spec::perf::SampleRecord;

bool has_data(const Map& map) {
    EpochGuard guard(map.runtime->epochs());
    if (!guard.status()) return false;
    for (u64 i = 0; i < map.max_entries; ++i) {
        const auto* ring = static_cast<const Map*>(object_at(map, i));
        if (ring != nullptr && ring_has_data(*ring)) return true;
    }
    return false;
}

void write_sample(void* place, u64 record_size, Bytes data, Bytes packet) {
    auto* bytes = static_cast<std::byte*>(place);
    const SampleRecord record{
        .header = {.type = spec::perf::kSample, .size = static_cast<u16>(record_size)},
        .size = static_cast<u32>(record_size - sizeof(SampleRecord))};
    std::memcpy(bytes, &record, sizeof record);
    std::byte* end = bytes + sizeof record;
    for (const Bytes part : {data, packet}) {
        if (!part.empty()) std::memcpy(end, part.data(), part.size());
        end += part.size();
    }
    std::memset(end, 0, static_cast<u64>(bytes + record_size - end));
}

}  // namespace

Status perf_output(Map& map, u32 slot, u64 flags, Bytes data, Bytes packet) {
    const u64 asked = flags & spec::perf::kIndexMask;
    const u64 index = asked == spec::perf::kCurrentCpu ? slot : asked;
    if (index >= map.max_entries) return fail(Errc::TooLarge, {}, "index", index);
    auto* ring = static_cast<Map*>(object_at(map, index));
    if (ring == nullptr) return fail(Errc::KeyNotFound, {}, "index", index);
    if (index != slot) return fail(Errc::NotSupported, {}, "the ring of another CPU", index);
    const u64 size = spec::perf::sample_record_bytes(data.size() + packet.size());
    if (size > spec::perf::kMaxRecord) return fail(Errc::TooLarge, {}, "sample", data.size());
    void* const record = ring_reserve(*ring, size);
    if (record == nullptr) {
        ring_count_lost(*ring);
        return fail(Errc::OutOfSpace, {}, "ring of samples");
    }
    write_sample(record, size, data, packet);
    if (ring_finish(record, false)) {
        object_array_event(map).signal();
        ring_tell(*ring);
    }
    return {};
}

bool perf_wait(Map& map, i32 timeout_ms) {
    platform::Event& ready = object_array_event(map);
    const u32 ticket = ready.ticket();
    if (has_data(map) || timeout_ms == 0) return has_data(map);
    return ready.wait(ticket, timeout_ms) || has_data(map);
}

}  // namespace ebpf::runtime
