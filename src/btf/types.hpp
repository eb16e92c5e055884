// SPDX-License-Identifier: MIT
// Type information that owns its bytes and index; user mode. For the kernel see btf.hpp.
#pragma once

#include <memory>
#include <vector>

#include "btf/btf.hpp"

namespace ebpf::btf {

class Types {
  public:
    // Copies, indexes and validates a .BTF section. Memory is bounded by the section's size.
    static Result<std::shared_ptr<const Types>> parse(Bytes section);

    Types(const Types&) = delete;
    Types& operator=(const Types&) = delete;

    const View& view() const { return view_; }
    const View* operator->() const { return &view_; }
    Bytes bytes() const { return bytes_; }

    // The first type of that kind and name; ObjectNotFound when there is none. Linear.
    Result<Type> find(Kind kind, std::string_view name) const;

  private:
    Types() = default;

    std::vector<std::byte> bytes_;
    std::vector<u32> offsets_;
    View view_;
};

}  // namespace ebpf::btf
