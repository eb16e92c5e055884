// SPDX-License-Identifier: MIT
// Contexts: Linux's mirrors against linux/bpf.h, eBPF for Windows' against the offsets that its
// programs are compiled with, and rules that every descriptor keeps.
#include "spec/contexts.hpp"

#include <gtest/gtest.h>

#include <string>

#include "spec/program_types.hpp"

#if __has_include(<linux/bpf_perf_event.h>)
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>

namespace ebpf::spec {
namespace {

#define SAME(ours, theirs, member)                                                 \
    EXPECT_EQ(offsetof(linux_abi::ours, member), offsetof(struct theirs, member)); \
    EXPECT_EQ(sizeof(linux_abi::ours::member), sizeof(static_cast<theirs*>(nullptr)->member))
#define SAME_SIZE(ours, theirs) EXPECT_EQ(sizeof(linux_abi::ours), sizeof(struct theirs))

TEST(LinuxContext, XdpMd) {
    SAME_SIZE(XdpMd, xdp_md);
    SAME(XdpMd, xdp_md, data);
    SAME(XdpMd, xdp_md, data_end);
    SAME(XdpMd, xdp_md, data_meta);
    SAME(XdpMd, xdp_md, ingress_ifindex);
    SAME(XdpMd, xdp_md, rx_queue_index);
    SAME(XdpMd, xdp_md, egress_ifindex);
}

TEST(LinuxContext, SkBuff) {
    SAME_SIZE(SkBuff, __sk_buff);
    SAME(SkBuff, __sk_buff, len);
    SAME(SkBuff, __sk_buff, pkt_type);
    SAME(SkBuff, __sk_buff, mark);
    SAME(SkBuff, __sk_buff, queue_mapping);
    SAME(SkBuff, __sk_buff, protocol);
    SAME(SkBuff, __sk_buff, vlan_present);
    SAME(SkBuff, __sk_buff, vlan_tci);
    SAME(SkBuff, __sk_buff, vlan_proto);
    SAME(SkBuff, __sk_buff, priority);
    SAME(SkBuff, __sk_buff, ingress_ifindex);
    SAME(SkBuff, __sk_buff, ifindex);
    SAME(SkBuff, __sk_buff, tc_index);
    SAME(SkBuff, __sk_buff, cb);
    SAME(SkBuff, __sk_buff, hash);
    SAME(SkBuff, __sk_buff, tc_classid);
    SAME(SkBuff, __sk_buff, data);
    SAME(SkBuff, __sk_buff, data_end);
    SAME(SkBuff, __sk_buff, napi_id);
    SAME(SkBuff, __sk_buff, family);
    SAME(SkBuff, __sk_buff, remote_ip4);
    SAME(SkBuff, __sk_buff, local_ip4);
    SAME(SkBuff, __sk_buff, remote_ip6);
    SAME(SkBuff, __sk_buff, local_ip6);
    SAME(SkBuff, __sk_buff, remote_port);
    SAME(SkBuff, __sk_buff, local_port);
    SAME(SkBuff, __sk_buff, data_meta);
    SAME(SkBuff, __sk_buff, flow_keys);
    SAME(SkBuff, __sk_buff, tstamp);
    SAME(SkBuff, __sk_buff, wire_len);
    SAME(SkBuff, __sk_buff, gso_segs);
    SAME(SkBuff, __sk_buff, sk);
    SAME(SkBuff, __sk_buff, gso_size);
    SAME(SkBuff, __sk_buff, tstamp_type);
    SAME(SkBuff, __sk_buff, hwtstamp);
}

TEST(LinuxContext, Sock) {
    SAME_SIZE(Sock, bpf_sock);
    SAME(Sock, bpf_sock, bound_dev_if);
    SAME(Sock, bpf_sock, family);
    SAME(Sock, bpf_sock, type);
    SAME(Sock, bpf_sock, protocol);
    SAME(Sock, bpf_sock, mark);
    SAME(Sock, bpf_sock, priority);
    SAME(Sock, bpf_sock, src_ip4);
    SAME(Sock, bpf_sock, src_ip6);
    SAME(Sock, bpf_sock, src_port);
    SAME(Sock, bpf_sock, dst_port);
    SAME(Sock, bpf_sock, dst_ip4);
    SAME(Sock, bpf_sock, dst_ip6);
    SAME(Sock, bpf_sock, state);
    SAME(Sock, bpf_sock, rx_queue_mapping);
}

TEST(LinuxContext, SockAddr) {
    SAME_SIZE(SockAddr, bpf_sock_addr);
    SAME(SockAddr, bpf_sock_addr, user_family);
    SAME(SockAddr, bpf_sock_addr, user_ip4);
    SAME(SockAddr, bpf_sock_addr, user_ip6);
    SAME(SockAddr, bpf_sock_addr, user_port);
    SAME(SockAddr, bpf_sock_addr, family);
    SAME(SockAddr, bpf_sock_addr, type);
    SAME(SockAddr, bpf_sock_addr, protocol);
    SAME(SockAddr, bpf_sock_addr, msg_src_ip4);
    SAME(SockAddr, bpf_sock_addr, msg_src_ip6);
    SAME(SockAddr, bpf_sock_addr, sk);
}

TEST(LinuxContext, SockOps) {
    SAME_SIZE(SockOps, bpf_sock_ops);
    SAME(SockOps, bpf_sock_ops, op);
    SAME(SockOps, bpf_sock_ops, args);
    SAME(SockOps, bpf_sock_ops, family);
    SAME(SockOps, bpf_sock_ops, remote_ip4);
    SAME(SockOps, bpf_sock_ops, local_ip4);
    SAME(SockOps, bpf_sock_ops, remote_ip6);
    SAME(SockOps, bpf_sock_ops, local_ip6);
    SAME(SockOps, bpf_sock_ops, remote_port);
    SAME(SockOps, bpf_sock_ops, local_port);
    SAME(SockOps, bpf_sock_ops, is_fullsock);
    SAME(SockOps, bpf_sock_ops, snd_cwnd);
    SAME(SockOps, bpf_sock_ops, srtt_us);
    SAME(SockOps, bpf_sock_ops, bpf_sock_ops_cb_flags);
    SAME(SockOps, bpf_sock_ops, state);
    SAME(SockOps, bpf_sock_ops, rtt_min);
    SAME(SockOps, bpf_sock_ops, snd_ssthresh);
    SAME(SockOps, bpf_sock_ops, rcv_nxt);
    SAME(SockOps, bpf_sock_ops, snd_nxt);
    SAME(SockOps, bpf_sock_ops, snd_una);
    SAME(SockOps, bpf_sock_ops, mss_cache);
    SAME(SockOps, bpf_sock_ops, ecn_flags);
    SAME(SockOps, bpf_sock_ops, rate_delivered);
    SAME(SockOps, bpf_sock_ops, rate_interval_us);
    SAME(SockOps, bpf_sock_ops, packets_out);
    SAME(SockOps, bpf_sock_ops, retrans_out);
    SAME(SockOps, bpf_sock_ops, total_retrans);
    SAME(SockOps, bpf_sock_ops, segs_in);
    SAME(SockOps, bpf_sock_ops, data_segs_in);
    SAME(SockOps, bpf_sock_ops, segs_out);
    SAME(SockOps, bpf_sock_ops, data_segs_out);
    SAME(SockOps, bpf_sock_ops, lost_out);
    SAME(SockOps, bpf_sock_ops, sacked_out);
    SAME(SockOps, bpf_sock_ops, sk_txhash);
    SAME(SockOps, bpf_sock_ops, bytes_received);
    SAME(SockOps, bpf_sock_ops, bytes_acked);
    SAME(SockOps, bpf_sock_ops, sk);
    SAME(SockOps, bpf_sock_ops, skb_data);
    SAME(SockOps, bpf_sock_ops, skb_data_end);
    SAME(SockOps, bpf_sock_ops, skb_len);
    SAME(SockOps, bpf_sock_ops, skb_tcp_flags);
}

TEST(LinuxContext, SkMsgMd) {
    SAME_SIZE(SkMsgMd, sk_msg_md);
    SAME(SkMsgMd, sk_msg_md, data);
    SAME(SkMsgMd, sk_msg_md, data_end);
    SAME(SkMsgMd, sk_msg_md, family);
    SAME(SkMsgMd, sk_msg_md, remote_ip4);
    SAME(SkMsgMd, sk_msg_md, local_ip4);
    SAME(SkMsgMd, sk_msg_md, remote_ip6);
    SAME(SkMsgMd, sk_msg_md, local_ip6);
    SAME(SkMsgMd, sk_msg_md, remote_port);
    SAME(SkMsgMd, sk_msg_md, local_port);
    SAME(SkMsgMd, sk_msg_md, size);
    SAME(SkMsgMd, sk_msg_md, sk);
}

TEST(LinuxContext, SkReuseportMd) {
    SAME_SIZE(SkReuseportMd, sk_reuseport_md);
    SAME(SkReuseportMd, sk_reuseport_md, data);
    SAME(SkReuseportMd, sk_reuseport_md, data_end);
    SAME(SkReuseportMd, sk_reuseport_md, len);
    SAME(SkReuseportMd, sk_reuseport_md, eth_protocol);
    SAME(SkReuseportMd, sk_reuseport_md, ip_protocol);
    SAME(SkReuseportMd, sk_reuseport_md, bind_inany);
    SAME(SkReuseportMd, sk_reuseport_md, hash);
    SAME(SkReuseportMd, sk_reuseport_md, sk);
    SAME(SkReuseportMd, sk_reuseport_md, migrating_sk);
}

TEST(LinuxContext, SkLookup) {
    SAME_SIZE(SkLookup, bpf_sk_lookup);
    SAME(SkLookup, bpf_sk_lookup, sk);
    SAME(SkLookup, bpf_sk_lookup, family);
    SAME(SkLookup, bpf_sk_lookup, protocol);
    SAME(SkLookup, bpf_sk_lookup, remote_ip4);
    SAME(SkLookup, bpf_sk_lookup, remote_ip6);
    SAME(SkLookup, bpf_sk_lookup, remote_port);
    SAME(SkLookup, bpf_sk_lookup, local_ip4);
    SAME(SkLookup, bpf_sk_lookup, local_ip6);
    SAME(SkLookup, bpf_sk_lookup, local_port);
    SAME(SkLookup, bpf_sk_lookup, ingress_ifindex);
}

TEST(LinuxContext, Sysctl) {
    SAME_SIZE(Sysctl, bpf_sysctl);
    SAME(Sysctl, bpf_sysctl, write);
    SAME(Sysctl, bpf_sysctl, file_pos);
}

TEST(LinuxContext, CgroupDevCtx) {
    SAME_SIZE(CgroupDevCtx, bpf_cgroup_dev_ctx);
    SAME(CgroupDevCtx, bpf_cgroup_dev_ctx, access_type);
    SAME(CgroupDevCtx, bpf_cgroup_dev_ctx, major);
    SAME(CgroupDevCtx, bpf_cgroup_dev_ctx, minor);
}

TEST(LinuxContext, Sockopt) {
    SAME_SIZE(Sockopt, bpf_sockopt);
    SAME(Sockopt, bpf_sockopt, sk);
    SAME(Sockopt, bpf_sockopt, optval);
    SAME(Sockopt, bpf_sockopt, optval_end);
    SAME(Sockopt, bpf_sockopt, level);
    SAME(Sockopt, bpf_sockopt, optname);
    SAME(Sockopt, bpf_sockopt, optlen);
    SAME(Sockopt, bpf_sockopt, retval);
}

TEST(LinuxContext, PerfEventData) {
    SAME_SIZE(PerfEventData, bpf_perf_event_data);
    SAME(PerfEventData, bpf_perf_event_data, sample_period);
    SAME(PerfEventData, bpf_perf_event_data, addr);
}

#if defined(__x86_64__)
TEST(LinuxContext, PtRegs) {
    SAME_SIZE(PtRegs, pt_regs);
    SAME(PtRegs, pt_regs, r15);
    SAME(PtRegs, pt_regs, r8);
    SAME(PtRegs, pt_regs, orig_rax);
    SAME(PtRegs, pt_regs, eflags);
    SAME(PtRegs, pt_regs, ss);
}
#endif

}  // namespace
}  // namespace ebpf::spec
#endif

namespace ebpf::spec {
namespace {

struct Place {
    const char* field;
    u16 offset;
    u16 size;
    FieldKind kind = FieldKind::Scalar;
};

void expect_context(Dialect dialect, ProgramType type, u16 size,
                    std::initializer_list<Place> places) {
    const ProgramTypeInfo* info = program_info(dialect, type);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->context.size, size) << info->name;
    EXPECT_EQ(info->context.fields.size(), places.size()) << info->name;
    for (const Place& place : places) {
        const ContextField* f = info->context.find(place.offset, place.size);
        ASSERT_NE(f, nullptr) << info->name << " " << place.field;
        EXPECT_STREQ(f->name, place.field);
        EXPECT_EQ(f->offset, place.offset) << place.field;
        EXPECT_EQ(f->size, place.size) << place.field;
        EXPECT_EQ(f->kind, place.kind) << place.field;
    }
}

constexpr FieldKind kStart = FieldKind::PacketStart;
constexpr FieldKind kEnd = FieldKind::PacketEnd;
constexpr FieldKind kMeta = FieldKind::PacketMeta;

TEST(WindowsContext, Xdp) {
    expect_context(Dialect::Windows, ProgramType::Xdp, 32,
                   {{"data", 0, 8, kStart},
                    {"data_end", 8, 8, kEnd},
                    {"data_meta", 16, 8, kMeta},
                    {"ingress_ifindex", 24, 4}});
}

TEST(WindowsContext, Bind) {
    expect_context(Dialect::Windows, ProgramType::Bind, 56,
                   {{"app_id_start", 0, 8, kStart},
                    {"app_id_end", 8, 8, kEnd},
                    {"process_id", 16, 8},
                    {"socket_address", 24, 16},
                    {"socket_address_length", 40, 1},
                    {"operation", 44, 4},
                    {"protocol", 48, 1}});
}

TEST(WindowsContext, SockAddr) {
    expect_context(Dialect::Windows, ProgramType::CgroupSockAddr, 64,
                   {{"family", 0, 4},
                    {"msg_src_ip6", 4, 16},
                    {"msg_src_port", 20, 2},
                    {"user_ip6", 24, 16},
                    {"user_port", 40, 2},
                    {"protocol", 44, 4},
                    {"compartment_id", 48, 4},
                    {"interface_luid", 56, 8}});
}

TEST(WindowsContext, SockOps) {
    expect_context(Dialect::Windows, ProgramType::SockOps, 64,
                   {{"op", 0, 4},
                    {"family", 4, 4},
                    {"local_ip6", 8, 16},
                    {"local_port", 24, 4},
                    {"remote_ip6", 28, 16},
                    {"remote_port", 44, 4},
                    {"protocol", 48, 1},
                    {"compartment_id", 52, 4},
                    {"interface_luid", 56, 8}});
}

TEST(WindowsContext, Sample) {
    expect_context(Dialect::Windows, ProgramType::Sample, 32,
                   {{"data_start", 0, 8, kStart},
                    {"data_end", 8, 8, kEnd},
                    {"uint32_data", 16, 4},
                    {"uint16_data", 20, 2},
                    {"helper_data_1", 24, 4},
                    {"helper_data_2", 28, 4}});
}

TEST(LinuxContextFields, XdpIsReadAtItsSizeOnlyAndBuiltElsewhere) {
    expect_context(Dialect::Linux, ProgramType::Xdp, 24,
                   {{"data", 0, 4, kStart},
                    {"data_end", 4, 4, kEnd},
                    {"data_meta", 8, 4, kMeta},
                    {"ingress_ifindex", 12, 4},
                    {"rx_queue_index", 16, 4},
                    {"egress_ifindex", 20, 4}});
    const ContextDescriptor& xdp = program_info(Dialect::Linux, ProgramType::Xdp)->context;
    EXPECT_EQ(xdp.native_size, 40);
    const u16 native_offsets[] = {0, 8, 16, 24, 28, 32};
    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(xdp.fields[i].native_offset, native_offsets[i]) << xdp.fields[i].name;
        EXPECT_EQ(xdp.fields[i].native_size, i < 3 ? 8 : 4) << xdp.fields[i].name;
        EXPECT_FALSE(xdp.fields[i].writable) << xdp.fields[i].name;
        EXPECT_FALSE(xdp.fields[i].narrow) << xdp.fields[i].name;
    }
    EXPECT_EQ(xdp.find(0, 8), nullptr);   // two fields at once
    EXPECT_EQ(xdp.find(24, 4), nullptr);  // behind the end
}

// Which fields of struct __sk_buff a program may write is decided by its type.
TEST(LinuxContextFields, SkBuffDependsOnTheType) {
    const auto field = [](ProgramType type, u32 offset, u32 width) {
        return program_info(Dialect::Linux, type)->context.find(offset, width);
    };
    constexpr u32 kMark = 8, kCb = 48, kData = 76, kClassid = 72, kFamily = 88, kTstamp = 152;
    constexpr u32 kDataMeta = 140, kFlowKeys = 144;
    EXPECT_TRUE(field(ProgramType::SchedCls, kMark, 4)->writable);
    EXPECT_FALSE(field(ProgramType::SocketFilter, kMark, 4)->writable);
    EXPECT_EQ(field(ProgramType::SkSkb, kMark, 4), nullptr);
    EXPECT_TRUE(field(ProgramType::SchedCls, kCb, 8)->writable);
    EXPECT_EQ(field(ProgramType::SchedCls, kData, 4)->kind, FieldKind::PacketStart);
    EXPECT_EQ(field(ProgramType::SchedCls, kData, 4)->native_offset, offsetof(SkbContext, data));
    EXPECT_EQ(field(ProgramType::SchedCls, kData, 4)->native_size, 8);
    EXPECT_EQ(field(ProgramType::SocketFilter, kData, 4), nullptr);
    EXPECT_EQ(field(ProgramType::CgroupSkb, kDataMeta, 4), nullptr);
    EXPECT_EQ(field(ProgramType::SchedCls, kDataMeta, 4)->kind, FieldKind::PacketMeta);
    EXPECT_TRUE(field(ProgramType::SchedCls, kClassid, 4)->writable);
    EXPECT_EQ(field(ProgramType::CgroupSkb, kClassid, 4), nullptr);
    EXPECT_EQ(field(ProgramType::SchedCls, kFamily, 4), nullptr);
    EXPECT_NE(field(ProgramType::SkSkb, kFamily, 4), nullptr);
    EXPECT_FALSE(field(ProgramType::SchedCls, kTstamp, 8)->narrow);
    EXPECT_EQ(field(ProgramType::FlowDissector, kFlowKeys, 8)->kind, FieldKind::Pointer);
    EXPECT_EQ(field(ProgramType::SchedCls, kFlowKeys, 8), nullptr);
    EXPECT_EQ(field(ProgramType::FlowDissector, 0, 4), nullptr);
}

// Widths that a Linux 6.18 kernel's verifier accepts and refuses, field by field.
TEST(LinuxContextFields, Widths) {
    const auto narrow = [](ProgramType type, u32 offset) {
        const ContextField* f = program_info(Dialect::Linux, type)->context.find(offset, 2);
        return f != nullptr && f->narrow;
    };
    EXPECT_TRUE(narrow(ProgramType::SkSkb, 88));        // family
    EXPECT_FALSE(narrow(ProgramType::SkSkb, 92));       // remote_ip4
    EXPECT_FALSE(narrow(ProgramType::CgroupSkb, 116));  // local_ip6[0]
    EXPECT_TRUE(narrow(ProgramType::CgroupSkb, 132));   // remote_port
    EXPECT_FALSE(narrow(ProgramType::SockOps, 4));      // args[0]
    EXPECT_FALSE(narrow(ProgramType::PerfEvent, 0));    // a register
    EXPECT_TRUE(narrow(ProgramType::PerfEvent, 168));   // sample_period
    EXPECT_TRUE(narrow(ProgramType::Kprobe, 0));
    EXPECT_FALSE(narrow(ProgramType::CgroupSock, 16));  // mark
    EXPECT_TRUE(narrow(ProgramType::CgroupSock, 28));   // src_ip6[0]
    EXPECT_TRUE(narrow(ProgramType::SkLookup, 20));     // remote_ip6[0]
    // Ports that old headers had with 4 bytes.
    EXPECT_NE(program_info(Dialect::Linux, ProgramType::CgroupSock)->context.find(48, 4), nullptr);
    EXPECT_NE(program_info(Dialect::Linux, ProgramType::SkLookup)->context.find(36, 4), nullptr);
}

// Descriptors as a whole: fields inside the structure and the native one, none over another, packet
// pointers in pairs and never writable.
TEST(Contexts, DescriptorsAreSound) {
    int described = 0;
    for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
        for (int t = 0; t < kProgramTypeCount; ++t) {
            const ProgramTypeInfo* type = program_info(dialect, static_cast<ProgramType>(t));
            if (type == nullptr) continue;
            const ContextDescriptor& context = type->context;
            int starts = 0;
            int ends = 0;
            for (const ContextField& f : context.fields) {
                const std::string where = std::string(type->name) + "." + f.name;
                ++described;
                EXPECT_GT(f.size, 0) << where;
                EXPECT_LE(f.offset + f.size, context.size) << where;
                EXPECT_LE(f.native_offset + f.native_size, context.native_size) << where;
                for (const ContextField& g : context.fields) {
                    if (&f == &g) continue;
                    EXPECT_TRUE(f.offset + f.size <= g.offset || g.offset + g.size <= f.offset)
                        << where << " and " << g.name;
                    EXPECT_TRUE(f.native_offset + f.native_size <= g.native_offset ||
                                g.native_offset + g.native_size <= f.native_offset)
                        << where << " and " << g.name;
                }
                if (f.kind == FieldKind::Scalar) {
                    EXPECT_EQ(f.size, f.native_size) << where;
                    continue;
                }
                EXPECT_EQ(f.native_size, 8) << where;
                EXPECT_FALSE(f.writable) << where;
                EXPECT_FALSE(f.narrow) << where;
                starts += f.kind == FieldKind::PacketStart;
                ends += f.kind == FieldKind::PacketEnd;
            }
            EXPECT_EQ(starts, ends) << type->name;
            EXPECT_LE(starts, 1) << type->name;
            if (type->packet_writable) {
                EXPECT_EQ(starts, 1) << type->name;
            }
        }
    }
    EXPECT_GT(described, 300);
}

}  // namespace
}  // namespace ebpf::spec
