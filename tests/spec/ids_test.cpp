// SPDX-License-Identifier: MIT
// Numbers: no two rows of a dialect share one, and every number leads back to its row.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "spec/attach_types.hpp"
#include "spec/helpers.hpp"
#include "spec/map_types.hpp"
#include "spec/program_types.hpp"

namespace ebpf::spec {
namespace {

constexpr Dialect kDialects[] = {Dialect::Linux, Dialect::Windows};

TEST(Ids, HelperNumbersAreUnique) {
    for (const Dialect dialect : kDialects) {
        std::map<i32, std::string> seen;
        for (int i = 0; i < kHelperCount; ++i) {
            const auto id = static_cast<Helper>(i);
            const i32 n = number(dialect, id);
            if (n < 0 || n >= static_cast<i32>(kFirstProgramTypeHelper)) continue;
            EXPECT_TRUE(seen.emplace(n, info(id).name).second)
                << info(id).name << " and " << seen[n] << " share " << n;
            EXPECT_EQ(helper_from_number(dialect, static_cast<u32>(n)), id) << info(id).name;
        }
        EXPECT_GE(seen.size(), dialect == Dialect::Linux ? 211u : 35u);
        EXPECT_FALSE(helper_from_number(dialect, 0));
        EXPECT_FALSE(helper_from_number(dialect, 60000));
        EXPECT_FALSE(helper_from_number(dialect, ~0u));
    }
}

// eBPF for Windows numbers a program type's own helpers from 0x10000 in every type: unique within
// one type, and known only through it.
TEST(Ids, ProgramTypesOwnHelpersAreUniqueWithinTheType) {
    EXPECT_FALSE(helper_from_number(Dialect::Windows, kFirstProgramTypeHelper));
    int own = 0;
    for (int t = 0; t < kProgramTypeCount; ++t) {
        const ProgramTypeInfo* type = program_info(Dialect::Windows, static_cast<ProgramType>(t));
        if (type == nullptr) continue;
        std::set<i32> seen;
        for (const HelperProto* helper : type->helpers) {
            EXPECT_TRUE(seen.insert(helper->number).second) << type->name << " " << helper->name;
            own += helper->number >= static_cast<i32>(kFirstProgramTypeHelper);
        }
    }
    EXPECT_EQ(own, 1 + 2 + 1 + 7 + 3 + 1);  // xdp, sock_addr, sockops, sample, process, netevent
}

TEST(Ids, MapTypeNumbersAreUniqueAndLeadBack) {
    for (const Dialect dialect : kDialects) {
        std::set<i32> seen;
        for (int i = 1; i < kMapTypeCount; ++i) {
            const auto id = static_cast<MapType>(i);
            const i32 n = number(dialect, id);
            if (n < 0) continue;
            EXPECT_TRUE(seen.insert(n).second) << info(id).name;
            EXPECT_EQ(map_type_from_number(dialect, static_cast<u32>(n)), id);
            EXPECT_EQ(map_type_from_name(info(id).name), id);
        }
        EXPECT_EQ(seen.size(), dialect == Dialect::Linux ? 33u : 16u);
        EXPECT_FALSE(map_type_from_number(dialect, 0));
        EXPECT_FALSE(map_type_from_number(dialect, 0xffff'ffff));
        EXPECT_FALSE(map_type_from_number(dialect, 1000));
    }
    EXPECT_FALSE(map_type_from_name("unspec"));
    EXPECT_FALSE(map_type_from_name(""));
}

TEST(Ids, ProgramTypeNumbersAreUniqueAndLeadBack) {
    for (const Dialect dialect : kDialects) {
        std::set<i32> seen;
        for (int i = 0; i < kProgramTypeCount; ++i) {
            const auto id = static_cast<ProgramType>(i);
            const i32 n = number(dialect, id);
            if (n < 0) continue;
            EXPECT_TRUE(seen.insert(n).second) << info(id).name[0];
            EXPECT_EQ(program_type_from_number(dialect, static_cast<u32>(n)), id);
        }
        EXPECT_EQ(seen.size(), dialect == Dialect::Linux ? 32u : 7u);
        EXPECT_FALSE(program_type_from_number(dialect, 0));
        EXPECT_FALSE(program_type_from_number(dialect, 0xffff'ffff));
    }
}

TEST(Ids, AttachTypeNumbersAreUniqueAndLeadBack) {
    for (const Dialect dialect : kDialects) {
        std::set<i32> seen;
        for (int i = 0; i < kAttachTypeCount; ++i) {
            const auto id = static_cast<AttachType>(i);
            const i32 n = number(dialect, id);
            if (n < 0) continue;
            EXPECT_TRUE(seen.insert(n).second) << info(id).in(dialect).name;
            EXPECT_EQ(attach_type_from_number(dialect, static_cast<u32>(n)), id);
            EXPECT_NE(program_info(dialect, info(id).in(dialect).program), nullptr);
        }
        EXPECT_EQ(seen.size(), dialect == Dialect::Linux ? 58u : 16u);
        EXPECT_FALSE(attach_type_from_number(dialect, 0xffff'ffff));
    }
}

// Every GUID of eBPF for Windows is well formed (a malformed one reads as null) and unique.
TEST(Ids, GuidsAreReadAndUnique) {
    std::set<std::string> seen;
    const auto bytes = [](const Guid& g) {
        return std::string(reinterpret_cast<const char*>(&g), sizeof g);
    };
    for (int i = 0; i < kProgramTypeCount; ++i) {
        const ProgramTypeNames& row = info(static_cast<ProgramType>(i));
        if (row.number[1] < 0) continue;
        EXPECT_FALSE(row.guid.is_null()) << row.name[1];
        EXPECT_TRUE(seen.insert(bytes(row.guid)).second) << row.name[1];
        EXPECT_EQ(program_type_from_guid(row.guid), row.type);
    }
    for (int i = 0; i < kAttachTypeCount; ++i) {
        const AttachTypeInfo& row = info(static_cast<AttachType>(i));
        const AttachTypeColumn& column = row.in(Dialect::Windows);
        if (column.number < 0) continue;
        EXPECT_FALSE(column.guid.is_null()) << column.name;
        EXPECT_TRUE(seen.insert(bytes(column.guid)).second) << column.name;
        EXPECT_EQ(attach_type_from_guid(column.guid), row.type);
    }
    constexpr Guid kXdp{
        0xf1832a85, 0x85d5, 0x45b0, {0x98, 0xa0, 0x70, 0x69, 0xd6, 0x30, 0x13, 0xb0}};
    EXPECT_EQ(info(ProgramType::Xdp).guid, kXdp);
    EXPECT_FALSE(program_type_from_guid(Guid{}));
    EXPECT_FALSE(attach_type_from_guid(Guid{}));
    EXPECT_TRUE(guid("f1832a85-85d5-45b0-98a0-7069d63013b").is_null());
    EXPECT_TRUE(guid("f1832a85-85d5-45b0-98a0-7069d63013bX").is_null());
}

// The numbers that differ between the dialects, by hand.
TEST(Ids, TheDialectsDiffer) {
    const struct {
        MapType type;
        i32 linux_number;
        i32 windows_number;
    } maps[] = {
        {MapType::Hash, 1, 1},
        {MapType::Array, 2, 2},
        {MapType::ProgArray, 3, 3},
        {MapType::PercpuHash, 5, 4},
        {MapType::PercpuArray, 6, 5},
        {MapType::HashOfMaps, 13, 6},
        {MapType::LruHash, 9, 8},
        {MapType::LpmTrie, 11, 9},
        {MapType::Queue, 22, 10},
        {MapType::Ringbuf, 27, 13},
        {MapType::PerfEventArray, 4, 14},
        {MapType::Xskmap, 17, 16},
        {MapType::SampleHashMap, -1, 15},
        {MapType::Sockmap, 15, -1},
    };
    for (const auto& m : maps) {
        EXPECT_EQ(number(Dialect::Linux, m.type), m.linux_number) << info(m.type).name;
        EXPECT_EQ(number(Dialect::Windows, m.type), m.windows_number) << info(m.type).name;
    }
    EXPECT_EQ(number(Dialect::Linux, ProgramType::Xdp), 6);
    EXPECT_EQ(number(Dialect::Windows, ProgramType::Xdp), 1);
    EXPECT_EQ(number(Dialect::Windows, ProgramType::Sample), 999);
    EXPECT_EQ(number(Dialect::Linux, AttachType::Xdp), 37);
    EXPECT_EQ(number(Dialect::Windows, AttachType::CgroupInet4RecvAccept), 5);
    EXPECT_EQ(attach_type_from_number(Dialect::Windows, 9), std::nullopt);
}

// Linux's 0 is a real attach type and also what a program type without one says.
TEST(Ids, ExpectedAttachType) {
    const auto expected = [](ProgramType p, u32 n) {
        return expected_attach_type(Dialect::Linux, p, n);
    };
    EXPECT_EQ(expected(ProgramType::CgroupSkb, 0), AttachType::CgroupInetIngress);
    EXPECT_EQ(expected(ProgramType::Xdp, 0), AttachType::Unspec);
    EXPECT_EQ(expected(ProgramType::Xdp, 37), AttachType::Xdp);
    EXPECT_FALSE(expected(ProgramType::Xdp, 10));
    EXPECT_EQ(expected(ProgramType::CgroupSockAddr, 10), AttachType::CgroupInet4Connect);
    EXPECT_EQ(expected_attach_type(Dialect::Windows, ProgramType::Xdp, 0), AttachType::Unspec);
}

TEST(Ids, LinkNumbers) {
    EXPECT_EQ(link_number(Dialect::Linux, LinkType::Xdp), 6u);
    EXPECT_EQ(link_number(Dialect::Windows, LinkType::Xdp), 3u);
    EXPECT_EQ(link_number(Dialect::Windows, LinkType::Plain), 1u);
    EXPECT_EQ(link_number(Dialect::Linux, LinkType::Plain), 0u);
    EXPECT_STREQ(name(LinkType::Netkit), "netkit");
}

TEST(MapTypes, SizeRules) {
    const auto check = [](MapType t, u32 key, u32 value, u32 entries, Dialect d = Dialect::Linux) {
        return fits(info(t), d, key, value, entries);
    };
    EXPECT_TRUE(check(MapType::Hash, 1, 1, 1));
    EXPECT_FALSE(check(MapType::Hash, 0, 1, 1));
    EXPECT_FALSE(check(MapType::Hash, 1, 0, 1));
    EXPECT_FALSE(check(MapType::Hash, 1, 1, 0));
    EXPECT_TRUE(check(MapType::Array, 4, 100, 10));
    EXPECT_FALSE(check(MapType::Array, 8, 100, 10));
    EXPECT_FALSE(check(MapType::ProgArray, 4, 8, 10));
    EXPECT_TRUE(check(MapType::Ringbuf, 0, 0, 4096));
    EXPECT_TRUE(check(MapType::Ringbuf, 0, 0, 1u << 31));
    EXPECT_FALSE(check(MapType::Ringbuf, 0, 0, 0));
    EXPECT_FALSE(check(MapType::Ringbuf, 0, 0, 2048));
    EXPECT_FALSE(check(MapType::Ringbuf, 0, 0, 3 * 4096));
    EXPECT_FALSE(check(MapType::Ringbuf, 4, 0, 4096));
    EXPECT_TRUE(check(MapType::LpmTrie, 8, 1, 1));
    EXPECT_FALSE(check(MapType::LpmTrie, 4, 1, 1));
    EXPECT_FALSE(check(MapType::LpmTrie, 261, 1, 1));
    EXPECT_TRUE(check(MapType::Queue, 0, 8, 2));
    EXPECT_FALSE(check(MapType::Queue, 4, 8, 2));
    EXPECT_TRUE(check(MapType::PerfEventArray, 4, 4, 1));
    EXPECT_FALSE(check(MapType::PerfEventArray, 4, 4, 0));
    EXPECT_FALSE(check(MapType::PerfEventArray, 0, 0, 65535, Dialect::Windows));
    EXPECT_TRUE(check(MapType::PerfEventArray, 0, 0, 65536, Dialect::Windows));
    EXPECT_FALSE(check(MapType::PerfEventArray, 4, 4, 65536, Dialect::Windows));
}

}  // namespace
}  // namespace ebpf::spec
