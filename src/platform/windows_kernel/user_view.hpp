// SPDX-License-Identifier: MIT
// Ring buffers in the address space of a client's process; the Windows kernel only.
#pragma once

#include "platform/memory.hpp"
#include "platform/windows_kernel/ddk.hpp"

namespace ebpf::platform {

// One ring as a process sees it: the consumer's page, and the producer's page with the data twice
// behind it. The process may write what is its own part, and read the other.
struct UserView {
    void* process = nullptr;  // referenced
    ddk::Mdl* consumer_pages = nullptr;
    ddk::Mdl* ring_pages = nullptr;
    std::byte* consumer = nullptr;
    std::byte* producer = nullptr;
    std::byte* data() const { return producer + kPageSize; }
};

// Maps `ring` into the current process. The ring must live until unmap_for_user(). PASSIVE, in the
// context of the process. NoMemory.
Result<UserView> map_for_user(const RingMemory& ring);
// From any process. PASSIVE.
void unmap_for_user(const UserView& view);

}  // namespace ebpf::platform
