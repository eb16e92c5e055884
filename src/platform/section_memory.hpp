// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "base/error.hpp"

namespace ebpf::platform {

// The content of a data section as an application sees it: pages of the process's own while the
// object is only open, then, at the same address, those of the map. User mode.
class SectionMemory {
  public:
    SectionMemory() = default;
    SectionMemory(SectionMemory&& other) noexcept { *this = std::move(other); }
    SectionMemory& operator=(SectionMemory&& other) noexcept {
        std::swap(base_, other.base_);
        std::swap(size_, other.size_);
        std::swap(native_, other.native_);
        std::swap(writable_, other.writable_);
        return *this;
    }
    ~SectionMemory();

    // Writable pages for `size` bytes that begin with `content`; the rest is zero. NoMemory.
    static Result<SectionMemory> create(Bytes content, std::size_t size);
    // Puts the pages of a map that applications map (BPF_F_MMAPABLE) in place of what is there:
    // those of SharedMemory::native, on Linux of any descriptor of them. NotSupported when they
    // cannot be mapped so; then everything stays. On Windows the place is free for a moment: when
    // another thread's memory comes to lie there, this is empty afterwards.
    Status map_over(i64 native, bool writable);

    explicit operator bool() const { return base_ != nullptr; }
    std::byte* data() const { return base_; }

  private:
    std::byte* base_ = nullptr;
    std::size_t size_ = 0;
    // Windows: whose pages these are.
    i64 native_ = -1;
    bool writable_ = false;
};

}  // namespace ebpf::platform
