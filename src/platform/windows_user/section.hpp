// SPDX-License-Identifier: MIT
#pragma once

#include <windows.h>

#include <atomic>

#include "base/types.hpp"

namespace ebpf::platform {

// What SharedMemory::native is in a Windows process: the address of this. The pages' owner and
// everybody who has them mapped elsewhere (SectionMemory) use it together.
struct Section {
    HANDLE handle = nullptr;
    std::atomic<u32> users{1};
    std::atomic<u32> writers{0};  // that have it mapped writable elsewhere
    std::atomic<bool> sealed{false};

    static Section* of(i64 native) { return reinterpret_cast<Section*>(native); }
};

// For `bytes` of memory; null without memory for it.
Section* create_section(u64 bytes);
// Ends one use; the last one ends the section.
void release_section(Section* section);

}  // namespace ebpf::platform
