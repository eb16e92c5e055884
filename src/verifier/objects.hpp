// SPDX-License-Identifier: MIT
//
// The fields of kernel objects that programs may read, as Linux's uapi structures bpf_sock and
// bpf_tcp_sock lay them out and its is_valid_access functions allow. They are read-only.
#pragma once

#include "spec/program_info.hpp"

namespace ebpf::verifier {

struct ObjectField {
    u16 offset;
    u16 size;
    bool narrow;       // a part of it may be read
    bool full_socket;  // not in what is only known to be a socket of some kind
};

// bpf_sock: sockets of any kind (sk_buff's sk, skc_lookup) have all but type, protocol, mark and
// priority.
inline constexpr ObjectField kSocketFields[] = {
    {0, 4, false, false},  // bound_dev_if
    {4, 4, true, false},   // family
    {8, 4, true, true},    // type
    {12, 4, true, true},   // protocol
    {16, 4, false, true},  // mark
    {20, 4, false, true},  // priority
    {24, 4, true, false},  // src_ip4
    {28, 4, true, false},  // src_ip6[0]
    {32, 4, true, false},  //
    {36, 4, true, false},  //
    {40, 4, true, false},  // src_ip6[3]
    {44, 4, true, false},  // src_port
    {48, 4, true, false},  // dst_port and the padding behind it
    {52, 4, true, false},  // dst_ip4
    {56, 4, true, false},  // dst_ip6[0]
    {60, 4, true, false},  //
    {64, 4, true, false},  //
    {68, 4, true, false},  // dst_ip6[3]
    {72, 4, true, false},  // state
    {76, 4, true, false},  // rx_queue_mapping
};

inline constexpr u32 kFlowKeysSize = 56;  // of bpf_flow_keys

// bpf_tcp_sock: 20 numbers of 4 bytes, two of 8, four of 4.
constexpr bool tcp_socket_field(u32 offset, u32 size) {
    if (offset == 80 || offset == 88) return size == 8;
    return size == 4 && offset % 4 == 0 && offset < 112 && (offset < 80 || offset >= 96);
}

// Whether `size` bytes at `offset` of an object of this kind may be read.
constexpr bool object_field(spec::RetKind kind, u32 offset, u32 size) {
    if (kind == spec::RetKind::TcpSocketOrNull) return tcp_socket_field(offset, size);
    for (const ObjectField& f : kSocketFields) {
        if (offset < f.offset || offset + size > u32{f.offset} + f.size) continue;
        if (f.full_socket && kind != spec::RetKind::SocketOrNull) return false;
        return size == f.size || (f.narrow && (size == 1 || size == 2) && offset % size == 0);
    }
    return false;
}

}  // namespace ebpf::verifier
