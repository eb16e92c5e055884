// SPDX-License-Identifier: MIT
#include "spec/sections.hpp"

#include <gtest/gtest.h>

#include <set>

#include "spec/attach_types.hpp"
#include "spec/program_types.hpp"

namespace ebpf::spec {
namespace {

struct Expected {
    const char* section;
    ProgramType program;
    AttachType attach;
};

TEST(Sections, LinuxNamesAsLibbpfMatchesThem) {
    const Expected rows[] = {
        {"xdp", ProgramType::Xdp, AttachType::Xdp},
        {"xdp.frags", ProgramType::Xdp, AttachType::Xdp},
        {"xdp/devmap", ProgramType::Xdp, AttachType::XdpDevmap},
        {"xdp.frags/cpumap", ProgramType::Xdp, AttachType::XdpCpumap},
        {"?xdp", ProgramType::Xdp, AttachType::Xdp},
        {"tc", ProgramType::SchedCls, AttachType::Unspec},
        {"tc/ingress", ProgramType::SchedCls, AttachType::TcxIngress},
        {"classifier", ProgramType::SchedCls, AttachType::Unspec},
        {"action", ProgramType::SchedAct, AttachType::Unspec},
        {"socket", ProgramType::SocketFilter, AttachType::Unspec},
        {"kprobe/do_sys_open", ProgramType::Kprobe, AttachType::Unspec},
        {"kprobe", ProgramType::Kprobe, AttachType::Unspec},
        {"uprobe.s//bin/sh:main", ProgramType::Kprobe, AttachType::Unspec},
        {"kprobe.multi/tcp_*", ProgramType::Kprobe, AttachType::TraceKprobeMulti},
        {"tracepoint/syscalls/sys_enter_open", ProgramType::Tracepoint, AttachType::Unspec},
        {"tp/sched/sched_switch", ProgramType::Tracepoint, AttachType::Unspec},
        {"raw_tp/sys_enter", ProgramType::RawTracepoint, AttachType::Unspec},
        {"raw_tracepoint.w/x", ProgramType::RawTracepointWritable, AttachType::Unspec},
        {"tp_btf/sched_switch", ProgramType::Tracing, AttachType::TraceRawTp},
        {"fentry/f", ProgramType::Tracing, AttachType::TraceFentry},
        {"fexit.s/f", ProgramType::Tracing, AttachType::TraceFexit},
        {"freplace/f", ProgramType::Ext, AttachType::Unspec},
        {"lsm/bprm_check_security", ProgramType::Lsm, AttachType::LsmMac},
        {"iter/task", ProgramType::Tracing, AttachType::TraceIter},
        {"cgroup_skb/egress", ProgramType::CgroupSkb, AttachType::CgroupInetEgress},
        {"cgroup/skb", ProgramType::CgroupSkb, AttachType::Unspec},
        {"cgroup/sock", ProgramType::CgroupSock, AttachType::CgroupInetSockCreate},
        {"cgroup/connect4", ProgramType::CgroupSockAddr, AttachType::CgroupInet4Connect},
        {"cgroup/recvmsg6", ProgramType::CgroupSockAddr, AttachType::CgroupUdp6Recvmsg},
        {"sockops", ProgramType::SockOps, AttachType::CgroupSockOps},
        {"sk_skb/stream_verdict", ProgramType::SkSkb, AttachType::SkSkbStreamVerdict},
        {"sk_msg", ProgramType::SkMsg, AttachType::SkMsgVerdict},
        {"struct_ops/init", ProgramType::StructOps, AttachType::Unspec},
        {"syscall", ProgramType::Syscall, AttachType::Unspec},
        {"netfilter", ProgramType::Netfilter, AttachType::Netfilter},
    };
    for (const Expected& row : rows) {
        const auto rule = find_section(Dialect::Linux, row.section);
        ASSERT_TRUE(rule) << row.section;
        EXPECT_EQ((*rule)->program, row.program) << row.section;
        EXPECT_EQ((*rule)->attach, row.attach) << row.section;
    }
}

TEST(Sections, LinuxNamesThatLibbpfRefuses) {
    for (const char* name : {"", "xdp/", "xdp_drop", "xdp/anything", "tc/from-netdev", "2/7",
                             "kprobe/", "kprobes/f", "from-netdev", ".text", "maps", "license",
                             "XDP", "bind", "cgroup/recv_accept4", "sample_ext", "sk_skb/"}) {
        const auto rule = find_section(Dialect::Linux, name);
        ASSERT_FALSE(rule) << name;
        EXPECT_EQ(rule.error().code, Errc::UnknownSection) << name;
    }
}

TEST(Sections, LegacyNamesByTheLongestRule) {
    const auto legacy = [](const char* name) {
        return find_section(Dialect::Linux, name, SectionNames::Legacy);
    };
    EXPECT_EQ((*legacy("xdp_drop"))->program, ProgramType::Xdp);
    EXPECT_EQ((*legacy("xdp/devmap_1"))->attach, AttachType::XdpDevmap);
    EXPECT_EQ((*legacy("tc/from-netdev"))->program, ProgramType::SchedCls);
    EXPECT_EQ((*legacy("sk_skb1"))->program, ProgramType::SkSkb);
    EXPECT_FALSE(legacy("2/7"));
    EXPECT_FALSE(legacy(""));
}

TEST(Sections, WindowsNamesByTheLongestPrefix) {
    const Expected rows[] = {
        {"xdp", ProgramType::Xdp, AttachType::Xdp},
        {"xdp/pass", ProgramType::Xdp, AttachType::Xdp},
        {"bind", ProgramType::Bind, AttachType::Bind},
        {"bind_1", ProgramType::Bind, AttachType::Bind},
        {"cgroup/connect4", ProgramType::CgroupSockAddr, AttachType::CgroupInet4Connect},
        {"cgroup/connect_authorization6/1", ProgramType::CgroupSockAddr,
         AttachType::CgroupInet6ConnectAuthorization},
        {"cgroup/recv_accept4", ProgramType::CgroupSockAddr, AttachType::CgroupInet4RecvAccept},
        {"cgroup/listen6", ProgramType::CgroupSockAddr, AttachType::CgroupInet6Listen},
        {"sockops", ProgramType::SockOps, AttachType::CgroupSockOps},
        {"sample_ext/0", ProgramType::Sample, AttachType::Sample},
        {"netevent_monitor", ProgramType::NetEvent, AttachType::NetEvent},
        {"process", ProgramType::Process, AttachType::Process},
    };
    for (const Expected& row : rows) {
        const auto rule = find_section(Dialect::Windows, row.section);
        ASSERT_TRUE(rule) << row.section;
        EXPECT_EQ((*rule)->program, row.program) << row.section;
        EXPECT_EQ((*rule)->attach, row.attach) << row.section;
    }
    EXPECT_FALSE(find_section(Dialect::Windows, "kprobe/f"));
    EXPECT_FALSE(find_section(Dialect::Windows, "cgroup/skb"));
    EXPECT_FALSE(find_section(Dialect::Windows, ""));
}

TEST(Sections, Extras) {
    const auto rule = find_section(Dialect::Linux, "?kprobe/do_sys_open");
    ASSERT_TRUE(rule);
    EXPECT_EQ(section_extras(**rule, "?kprobe/do_sys_open"), "do_sys_open");
    EXPECT_EQ(section_extras(**rule, "kprobe"), "");
}

// Every rule is consistent with the other tables and unique.
TEST(Sections, RulesAreConsistent) {
    std::set<std::pair<Dialect, std::string_view>> seen;
    for (const SectionRule& rule : section_rules()) {
        EXPECT_TRUE(seen.emplace(rule.dialect, rule.name).second) << rule.name;
        EXPECT_NE(program_info(rule.dialect, rule.program), nullptr) << rule.name;
        EXPECT_EQ(rule.match == SectionMatch::Prefix, rule.dialect == Dialect::Windows)
            << rule.name;
        if (rule.attach == AttachType::Unspec) continue;
        EXPECT_EQ(info(rule.attach).in(rule.dialect).program, rule.program) << rule.name;
    }
}

}  // namespace
}  // namespace ebpf::spec
