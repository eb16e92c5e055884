// SPDX-License-Identifier: MIT
//
// What lies at a place of a structure, for those who read memory that only its type describes. The
// rules are those of Linux's btf_struct_access: a load stays inside one member, a pointer is loaded
// whole, and an array that a structure ends with has no end.
#pragma once

#include "btf/btf.hpp"

namespace ebpf::btf {

// The structure or union that a pointer type leads to, 0 when `id` is no pointer, leads to
// something else, or to what may not be read through (user space, another CPU's copy).
u32 pointed_structure(const View& types, u32 id);

// What `size` bytes at `offset` of `structure` hold: the structure that the pointer there leads to,
// 0 for numbers and every other pointer. Errors (at the innermost structure): OutOfBounds when the
// bytes are not of one member, BadFormat for a part of a pointer.
Result<u32> loaded_structure(const View& types, u32 structure, u64 offset, u64 size);

// Whether an object of type `structure` begins with one of the structure named `name`, or is one.
bool begins_with(const View& types, u32 structure, std::string_view name);

}  // namespace ebpf::btf
