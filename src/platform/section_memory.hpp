// SPDX-License-Identifier: MIT
#pragma once

#include "base/error.hpp"

namespace ebpf::platform {

// The content of a data section as an application sees it: pages of the process's own while the
// object is only open, then, at the same address, those of the map. User mode; Linux for now.
class SectionMemory {
  public:
    SectionMemory() = default;
    SectionMemory(SectionMemory&& other) noexcept : base_(other.base_), size_(other.size_) {
        other.base_ = nullptr;
        other.size_ = 0;
    }
    SectionMemory& operator=(SectionMemory&& other) noexcept;
    ~SectionMemory();

    // Writable pages for `size` bytes that begin with `content`; the rest is zero. NoMemory.
    static Result<SectionMemory> create(Bytes content, std::size_t size);
    // Puts the pages behind a map's descriptor (BPF_F_MMAPABLE) in place of what is there.
    // NotSupported when the descriptor cannot be mapped so.
    Status map_over(int descriptor, bool writable);

    explicit operator bool() const { return base_ != nullptr; }
    std::byte* data() const { return base_; }

  private:
    std::byte* base_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace ebpf::platform
