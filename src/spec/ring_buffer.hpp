// SPDX-License-Identifier: MIT
//
// The records of a ring buffer, as producers and consumers of both dialects see them (Linux:
// Documentation/bpf/ringbuf.rst). Positions only grow; a record is a header and its data, padded to
// 8 bytes. The header's first word is the length of the data with two flag bits.
#pragma once

#include "base/types.hpp"

namespace ebpf::spec::ring {

inline constexpr u32 kBusy = 1u << 31;       // reserved and not finished yet
inline constexpr u32 kDiscarded = 1u << 30;  // finished, to be skipped
inline constexpr u64 kMaxData = kDiscarded - 1;
inline constexpr u32 kHeaderSize = 8;

// Behind the producer's position, in its page: how many records did not fit, counted for the rings
// of perf event arrays (eBPF for Windows has the same word there).
inline constexpr u64 kLostOffset = 64;

// The length of the data that a header's first word tells.
constexpr u32 data_bytes(u32 header) {
    return header & ~(kBusy | kDiscarded);
}

// Bytes in the ring of a record with `size` bytes of data.
constexpr u64 record_bytes(u64 size) {
    return (size + kHeaderSize + 7) & ~u64{7};
}

}  // namespace ebpf::spec::ring
