// SPDX-License-Identifier: MIT
#include "products/service/ring_signals.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>

#include "spec/map_types.hpp"

namespace ebpf::service {

bool is_ring(u32 map_type) {
    const auto type = spec::map_type_from_number(spec::Dialect::Linux, map_type);
    return type && *type == spec::MapType::Ringbuf;
}

void RingSignals::add(u32 map, int descriptor) {
    const std::scoped_lock lock(mutex_);
    ends_.emplace(map, descriptor);
}

void RingSignals::remove(int descriptor) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(ends_, [&](const auto& entry) { return entry.second == descriptor; });
}

// One byte is enough until it is taken out.
void RingSignals::ready(u32 map) {
    const std::scoped_lock lock(mutex_);
    const auto [first, last] = ends_.equal_range(map);
    for (auto at = first; at != last; ++at) {
        int unread = 0;
        if (ioctl(at->second, SIOCOUTQ, &unread) == 0 && unread != 0) continue;
        (void)!send(at->second, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

void settle(int descriptor) {
    std::array<char, 64> bytes;
    while (recv(descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
    }
}

}  // namespace ebpf::service
