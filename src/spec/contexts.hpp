// SPDX-License-Identifier: MIT
//
// The contexts of both dialects as structures, so that the tables take offsets and sizes from a
// compiler, and the contexts that hooks build. Linux's mirror linux/bpf.h (tests/spec compares
// every member); eBPF for Windows' are what programs built with its headers expect.
//
// A hook may build another layout than the programs see: then lowering rewrites each access to the
// native one. XDP has its own; a packet context of Linux (32-bit data fields) is followed by 64-bit
// pointers (SkbContext). Everything else is built exactly as programs see it.
#pragma once

#include <cstddef>

#include "base/types.hpp"

namespace ebpf::spec {

// --- built by hooks -----------------------------------------------------------------------------

struct XdpContext {
    u8* data = nullptr;
    u8* data_end = nullptr;
    u64 data_meta = 0;  // address of the metadata; equal to data when there is none
    u32 ingress_ifindex = 0;
    u32 rx_queue_index = 0;
    u32 egress_ifindex = 0;
};
static_assert(offsetof(XdpContext, data_end) == 8 && offsetof(XdpContext, data_meta) == 16 &&
              offsetof(XdpContext, ingress_ifindex) == 24 &&
              offsetof(XdpContext, rx_queue_index) == 28 &&
              offsetof(XdpContext, egress_ifindex) == 32 && sizeof(XdpContext) == 40);

// --- Linux --------------------------------------------------------------------------------------

namespace linux_abi {

struct XdpMd {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct SkBuff {
    u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
    u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id;
    u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
    u32 data_meta;
    u64 flow_keys, tstamp;
    u32 wire_len, gso_segs;
    u64 sk;
    u32 gso_size;
    u8 tstamp_type, padding[3];
    u64 hwtstamp;
};

struct Sock {
    u32 bound_dev_if, family, type, protocol, mark, priority;
    u32 src_ip4, src_ip6[4], src_port;
    u16 dst_port, padding;
    u32 dst_ip4, dst_ip6[4], state;
    i32 rx_queue_mapping;
};

struct SockAddr {
    u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol;
    u32 msg_src_ip4, msg_src_ip6[4];
    u64 sk;
};

struct SockOps {
    u32 op, args[4], family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4];
    u32 remote_port, local_port, is_fullsock, snd_cwnd, srtt_us, bpf_sock_ops_cb_flags, state;
    u32 rtt_min, snd_ssthresh, rcv_nxt, snd_nxt, snd_una, mss_cache, ecn_flags, rate_delivered;
    u32 rate_interval_us, packets_out, retrans_out, total_retrans, segs_in, data_segs_in, segs_out;
    u32 data_segs_out, lost_out, sacked_out, sk_txhash;
    u64 bytes_received, bytes_acked, sk, skb_data, skb_data_end;
    u32 skb_len, skb_tcp_flags;
};

struct SkMsgMd {
    u64 data, data_end;
    u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, size;
    u64 sk;
};

struct SkReuseportMd {
    u64 data, data_end;
    u32 len, eth_protocol, ip_protocol, bind_inany, hash;
    u64 sk, migrating_sk;
};

struct SkLookup {
    u64 sk;
    u32 family, protocol, remote_ip4, remote_ip6[4];
    u16 remote_port, padding;
    u32 local_ip4, local_ip6[4], local_port, ingress_ifindex;
};

struct Sysctl {
    u32 write, file_pos;
};

struct CgroupDevCtx {
    u32 access_type, major, minor;
};

struct Sockopt {
    u64 sk, optval, optval_end;
    i32 level, optname, optlen, retval;
};

// struct user_regs_struct's first part, x86-64.
struct PtRegs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
    u64 rip, cs, eflags, rsp, ss;
};

struct PerfEventData {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
    u64 rip, cs, eflags, rsp, ss;
    u64 sample_period, addr;
};

// Raw tracepoints, BTF tracepoints, fentry, fexit, LSM: the traced function's arguments.
struct TraceArgs {
    u64 args[12];
};

// An event record as tracefs describes it; programs do not see its first 8 bytes.
struct TracepointRecord {
    u64 hidden;
    u8 bytes[8184];
};

struct LircMode2 {
    u32 sample;
};

struct NetfilterContext {
    u64 state, skb;
};

}  // namespace linux_abi

// What a packet hook with Linux's struct __sk_buff builds: the structure, its three packet fields
// unused, and the pointers behind it.
struct SkbContext {
    linux_abi::SkBuff skb{};
    u8* data = nullptr;
    u8* data_end = nullptr;
    u8* data_meta = nullptr;
};
static_assert(sizeof(linux_abi::SkBuff) == 192 && sizeof(SkbContext) == 216);

// --- eBPF for Windows ---------------------------------------------------------------------------

namespace windows_abi {

struct XdpMd {
    u64 data, data_end, data_meta;
    u32 ingress_ifindex;
};

struct BindMd {
    u64 app_id_start, app_id_end, process_id;
    u8 socket_address[16], socket_address_length;
    u32 operation;
    u8 protocol;
};

struct SockAddr {
    u32 family, msg_src_ip6[4];
    u16 msg_src_port;
    u32 user_ip6[4];
    u16 user_port;
    u32 protocol, compartment_id;
    u64 interface_luid;
};

struct SockOps {
    u32 op, family, local_ip6[4], local_port, remote_ip6[4], remote_port;
    u8 protocol;
    u32 compartment_id;
    u64 interface_luid;
};

struct ProcessMd {
    u64 command_start, command_end, process_id, parent_process_id, creating_process_id;
    u64 creating_thread_id, creation_time, exit_time;
    u32 process_exit_code;
    u8 operation;
};

struct NetEventMd {
    u64 data_meta, data, data_end;
};

struct SampleContext {
    u64 data_start, data_end;
    u32 uint32_data;
    u16 uint16_data;
    u32 helper_data_1, helper_data_2;
};

}  // namespace windows_abi
}  // namespace ebpf::spec
