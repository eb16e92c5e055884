// SPDX-License-Identifier: MIT
#include "products/ebpfsvc/ring_signals.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace ebpf::ebpfsvc {

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

}  // namespace ebpf::ebpfsvc
