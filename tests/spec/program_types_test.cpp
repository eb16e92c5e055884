// SPDX-License-Identifier: MIT
#include "spec/program_types.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "spec/attach_types.hpp"
#include "spec/helpers.hpp"

namespace ebpf::spec {
namespace {

TEST(ProgramTypes, ExistInTheirDialects) {
    EXPECT_NE(program_info(Dialect::Linux, ProgramType::Xdp), nullptr);
    EXPECT_NE(program_info(Dialect::Windows, ProgramType::Xdp), nullptr);
    EXPECT_EQ(program_info(Dialect::Windows, ProgramType::Kprobe), nullptr);
    EXPECT_EQ(program_info(Dialect::Linux, ProgramType::Bind), nullptr);
    EXPECT_EQ(program_info(Dialect::Linux, ProgramType::Unspec), nullptr);
    EXPECT_EQ(program_info(Dialect::Windows, ProgramType::Unspec), nullptr);
}

TEST(ProgramTypes, Rules) {
    const auto linux_info = [](ProgramType t) { return program_info(Dialect::Linux, t); };
    EXPECT_FALSE(linux_info(ProgramType::Xdp)->returns.checked);
    EXPECT_TRUE(linux_info(ProgramType::CgroupSkb)->returns.checked);
    EXPECT_EQ(linux_info(ProgramType::CgroupSkb)->returns.max, 1);
    // Who may store into packets: may_access_direct_pkt_data().
    const std::set<ProgramType> writable = {
        ProgramType::Xdp,   ProgramType::SchedCls, ProgramType::SchedAct,     ProgramType::LwtXmit,
        ProgramType::SkSkb, ProgramType::SkMsg,    ProgramType::CgroupSockopt};
    const std::set<ProgramType> leaking = {
        ProgramType::Kprobe,  ProgramType::Tracepoint, ProgramType::RawTracepoint,
        ProgramType::Tracing, ProgramType::PerfEvent,  ProgramType::RawTracepointWritable,
        ProgramType::Lsm};
    for (int t = 0; t < kProgramTypeCount; ++t) {
        const auto type = static_cast<ProgramType>(t);
        if (linux_info(type) == nullptr) continue;
        EXPECT_EQ(linux_info(type)->packet_writable, writable.contains(type))
            << linux_info(type)->name;
        EXPECT_EQ(linux_info(type)->may_leak_pointers, leaking.contains(type))
            << linux_info(type)->name;
    }
}

TEST(ProgramTypes, ReturnRangeDependsOnTheAttachType) {
    const ProgramTypeInfo& addr = *program_info(Dialect::Linux, ProgramType::CgroupSockAddr);
    EXPECT_EQ(return_range(addr, AttachType::CgroupInet4Connect).max, 1);
    EXPECT_EQ(return_range(addr, AttachType::CgroupInet4Bind).max, 3);
    EXPECT_EQ(return_range(addr, AttachType::CgroupUdp4Recvmsg).min, 1);
    EXPECT_EQ(return_range(addr, AttachType::Unspec).min, 0);
    const ProgramTypeInfo& tracing = *program_info(Dialect::Linux, ProgramType::Tracing);
    EXPECT_FALSE(return_range(tracing, AttachType::ModifyReturn).checked);
    EXPECT_TRUE(return_range(tracing, AttachType::TraceFentry).checked);
    // A row of another program type changes nothing.
    const ProgramTypeInfo& xdp = *program_info(Dialect::Linux, ProgramType::Xdp);
    EXPECT_FALSE(return_range(xdp, AttachType::CgroupInet4Bind).checked);
}

TEST(ProgramTypes, HelpersAreSortedAndFound) {
    for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
        for (int t = 0; t < kProgramTypeCount; ++t) {
            const ProgramTypeInfo* type = program_info(dialect, static_cast<ProgramType>(t));
            if (type == nullptr) continue;
            i32 last = 0;
            for (const HelperProto* helper : type->helpers) {
                EXPECT_GT(helper->number, last) << type->name << " " << helper->name;
                last = helper->number;
                EXPECT_EQ(find_helper(*type, static_cast<u32>(helper->number)), helper);
            }
            EXPECT_EQ(find_helper(*type, 0), nullptr);
            EXPECT_EQ(find_helper(*type, 0xffff'ffff), nullptr);
            EXPECT_EQ(find_helper(*type, 5000), nullptr);
        }
    }
}

TEST(ProgramTypes, HashCoversWhatAProofRestsOn) {
    std::set<u64> seen;
    for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
        for (int t = 0; t < kProgramTypeCount; ++t) {
            const ProgramTypeInfo* type = program_info(dialect, static_cast<ProgramType>(t));
            if (type == nullptr) continue;
            EXPECT_EQ(type->hash, hash(*type)) << type->name;
            EXPECT_TRUE(seen.insert(type->hash).second) << type->name;
        }
    }
    const ProgramTypeInfo& xdp = *program_info(Dialect::Linux, ProgramType::Xdp);
    const auto differs = [&](auto change) {
        ProgramTypeInfo copy = xdp;
        change(copy);
        return hash(copy) != xdp.hash;
    };
    EXPECT_FALSE(differs([](ProgramTypeInfo& i) { i.hash = 1; }));
    EXPECT_TRUE(differs([](ProgramTypeInfo& i) { i.name = "other"; }));
    EXPECT_TRUE(differs([](ProgramTypeInfo& i) { i.returns = {true, 0, 1}; }));
    EXPECT_TRUE(differs([](ProgramTypeInfo& i) { i.packet_writable = false; }));
    EXPECT_TRUE(differs([](ProgramTypeInfo& i) { i.context.size = 28; }));
    EXPECT_TRUE(differs([](ProgramTypeInfo& i) { i.helpers = i.helpers.subspan(1); }));

    std::vector<ContextField> fields(xdp.context.fields.begin(), xdp.context.fields.end());
    fields[3].writable = true;
    EXPECT_TRUE(differs([&](ProgramTypeInfo& i) { i.context.fields = fields; }));

    std::vector<const HelperProto*> helpers(xdp.helpers.begin(), xdp.helpers.end());
    HelperProto changed = *helpers[0];
    changed.args[1] = ArgKind::Anything;
    helpers[0] = &changed;
    EXPECT_TRUE(differs([&](ProgramTypeInfo& i) { i.helpers = helpers; }));
}

}  // namespace
}  // namespace ebpf::spec
