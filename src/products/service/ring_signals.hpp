// SPDX-License-Identifier: MIT
//
// Rings' descriptors become readable when a consumer should look: a byte is written into our end of
// the pair of sockets. Whoever reads the ring takes the bytes out first (settle()), so that none is
// missed.
#pragma once

#include <mutex>
#include <unordered_map>

#include "base/types.hpp"

namespace ebpf::service {

// Whether maps of this type, in Linux's numbers, are rings that applications read.
bool is_ring(u32 map_type);

class RingSignals {
  public:
    // `descriptor`, our end of a descriptor of the map with this id, is valid until remove().
    void add(u32 map, int descriptor);
    void remove(int descriptor);
    // There is something in the ring of the map with this id. By programs while they run, too.
    void ready(u32 map);

  private:
    std::mutex mutex_;
    std::unordered_multimap<u32, int> ends_;
};

// Takes out what made `descriptor`, the application's end, readable.
void settle(int descriptor);

}  // namespace ebpf::service
