// SPDX-License-Identifier: MIT
// Type information that an application loaded: its bytes, checked once, and an index of its types.
#pragma once

#include "btf/btf.hpp"
#include "runtime/object.hpp"

namespace ebpf::runtime {

struct Btf : Object {
    std::byte* bytes = nullptr;
    u32 size = 0;
    u32* offsets = nullptr;  // the view's index
    btf::View view;          // over `bytes`
};

// Copies and validates. Errors: TooLarge, NoMemory, those of btf::View. PASSIVE.
Result<Btf*> make_btf(Bytes bytes);
void destroy_btf(Btf& btf);

}  // namespace ebpf::runtime
