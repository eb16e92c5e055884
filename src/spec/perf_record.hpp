// SPDX-License-Identifier: MIT
//
// Records of perf event arrays as consumers see them (linux/perf_event.h), and the flags of
// bpf_perf_event_output.
#pragma once

#include "base/types.hpp"

namespace ebpf::spec::perf {

inline constexpr u64 kIndexMask = 0xffffffff;          // BPF_F_INDEX_MASK
inline constexpr u64 kCurrentCpu = kIndexMask;         // BPF_F_CURRENT_CPU
inline constexpr u64 kContextMask = 0xfffffull << 32;  // BPF_F_CTXLEN_MASK
inline constexpr int kContextShift = 32;

inline constexpr u32 kLost = 2;    // PERF_RECORD_LOST
inline constexpr u32 kSample = 9;  // PERF_RECORD_SAMPLE

struct RecordHeader {
    u32 type = 0;
    u16 misc = 0;
    u16 size = 0;  // of the whole record
};

// The sample follows.
struct SampleRecord {
    RecordHeader header;
    u32 size = 0;  // of the sample with its padding
};
static_assert(sizeof(SampleRecord) == 12);

struct LostRecord {
    RecordHeader header;
    u64 id = 0;
    u64 lost = 0;
};
static_assert(sizeof(LostRecord) == 24);

// The beginning of a struct perf_event_attr.
struct EventAttr {
    u32 type;
    u32 size;
    u64 config;
    u64 sample_period;
    u64 sample_type;

    // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT, PERF_SAMPLE_RAW: what programs write.
    constexpr bool is_program_output() const {
        return type == 1 && config == 10 && sample_type == 1u << 10;
    }
};

inline constexpr u64 kMaxRecord = 65535 & ~7;  // what a header's size can say

// Bytes of the record around a sample.
constexpr u64 sample_record_bytes(u64 sample) {
    return (sizeof(SampleRecord) + sample + 7) & ~u64{7};
}

}  // namespace ebpf::spec::perf
