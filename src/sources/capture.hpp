// SPDX-License-Identifier: MIT
//
// The recorded source's input: a capture file (pcap or pcapng, as libpcap reads them) held in
// memory, so that feeding a hook measures the hook and not a file system.
#pragma once

#include <vector>

#include "base/error.hpp"

namespace ebpf::sources {

struct CaptureLimits {
    u64 max_bytes = u64{1} << 30;  // of packet data kept
    u32 max_packets = 16'000'000;
    u32 max_packet = 65535;  // bytes of one packet
};

// A frame as it was recorded. `bytes` belongs to the Capture.
struct Frame {
    Bytes bytes;
    u64 timestamp_ns = 0;  // since the epoch
    u32 wire_size = 0;     // what it was on the wire; more than bytes.size() when it was cut
};

class Capture {
  public:
    // Reads the whole file. Errors: FileNotFound, AccessDenied, BadFormat (not a capture, or
    // damaged; Where is the packet's number), Unsupported (not Ethernet), TooLarge (beyond a
    // limit).
    static Result<Capture> read(const char* path, const CaptureLimits& limits = {});

    u32 size() const { return static_cast<u32>(frames_.size()); }
    Frame operator[](u32 index) const;
    u64 total_bytes() const { return data_.size(); }

  private:
    struct Entry {
        u64 offset;
        u64 timestamp_ns;
        u32 size;
        u32 wire_size;
    };
    std::vector<std::byte> data_;
    std::vector<Entry> frames_;
};

}  // namespace ebpf::sources
