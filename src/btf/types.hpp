// SPDX-License-Identifier: MIT
// Type information that owns its bytes and indices, by id and by name; user mode. For the kernel
// see btf.hpp.
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

    // The first type of that kind and name; ObjectNotFound when there is none or no name is given.
    Result<Type> find(Kind kind, std::string_view name) const;
    // Ids, in order, among which are all types that `name` means to CO-RE (with essential names
    // that are the same), and few others.
    std::span<const u32> candidates(std::string_view name) const;

  private:
    Types() = default;
    void index_names();

    std::vector<std::byte> bytes_;
    std::vector<u32> offsets_;
    View view_;
    // Types by a hash of their essential name: bucket b is named_[first_[b], first_[b + 1]).
    std::vector<u32> first_;
    std::vector<u32> named_;
};

// A name without its flavour, as libbpf defines it: "task_struct___old" is task_struct as a program
// believes an old kernel to have it.
std::string_view essential_name(std::string_view name);

}  // namespace ebpf::btf
