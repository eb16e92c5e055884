// SPDX-License-Identifier: MIT
//
// What a program's dynamic pointer is: 16 bytes of its stack that only helpers look into (the
// verifier sees to that). The memory is the program's for as long as the dynamic pointer can be
// used, which the verifier knows, too.
#pragma once

#include "base/types.hpp"

namespace ebpf::runtime {

struct Dynptr {
    enum class Of : u8 { Nothing, Memory, Packet };  // every use of nothing is an error

    std::byte* data = nullptr;  // Memory: as it was made, whatever bpf_dynptr_adjust() left of it
    u32 size = 0;               // from `offset` on
    u32 offset : 24 = 0;        // in `data`, or in the packet of the program's context
    u32 of : 7 = 0;             // an Of
    u32 read_only : 1 = 0;

    static Dynptr to(std::byte* data, u32 size) {
        return {data, size, 0, static_cast<u32>(Of::Memory), 0};
    }
    static Dynptr to_packet(u32 size) {
        return {nullptr, size, 0, static_cast<u32>(Of::Packet), 0};
    }
    bool is(Of what) const { return of == static_cast<u32>(what); }
};
static_assert(sizeof(Dynptr) == 16);

inline constexpr u64 kMaxDynptrSize = (1 << 24) - 1;  // Linux'

}  // namespace ebpf::runtime
