// SPDX-License-Identifier: MIT
// helpers.def as constants, and the sets of program and map types that its rows name. Only for
// spec's own sources; others use helpers.hpp.
#pragma once

#include <array>

#include "spec/helpers.hpp"
#include "spec/map_types.hpp"

namespace ebpf::spec::helper_table {

// --- sets of program types: one constant per type (kXdp), and the families ----------------------
#define PROGRAM_TYPE(id, ...) \
    inline constexpr u64 k##id = u64{1} << static_cast<u32>(ProgramType::id);
#include "spec/program_types.def"

inline constexpr u64 kTc = kSchedCls | kSchedAct;
inline constexpr u64 kLwt = kLwtIn | kLwtOut | kLwtXmit | kLwtSeg6local;
inline constexpr u64 kSkbLike = kSocketFilter | kTc | kCgroupSkb | kLwt | kSkSkb;
inline constexpr u64 kCgroup =
    kCgroupSock | kCgroupSockAddr | kCgroupDevice | kCgroupSysctl | kCgroupSockopt;
inline constexpr u64 kBtfTracing = kTracing | kLsm;
inline constexpr u64 kTracingLike = kKprobe | kTracepoint | kPerfEvent | kRawTracepoint |
                                    kRawTracepointWritable | kBtfTracing | kSyscall;
// Programs that know sockets.
inline constexpr u64 kSkBase =
    kSkbLike | kXdp | kCgroupSockAddr | kSockOps | kSkMsg | kFlowDissector | kSkLookup;

// Every type with its own contract; an Ext program has that of the program it extends.
inline constexpr u64 kAnyType = ~(kUnspec | kExt);
inline constexpr u64 kAnyTypeNoLirc = kAnyType & ~kLircMode2;

// --- sets of map types --------------------------------------------------------------------------
template <typename... Types>
constexpr u64 maps(Types... types) {
    return ((u64{1} << static_cast<u32>(types)) | ...);
}

inline constexpr u64 kNoMaps = 0;
inline constexpr u64 kHashMaps =
    maps(MapType::Hash, MapType::PercpuHash, MapType::LruHash, MapType::LruPercpuHash,
         MapType::LpmTrie, MapType::SampleHashMap);
inline constexpr u64 kValueMaps = kHashMaps | maps(MapType::Array, MapType::PercpuArray);
inline constexpr u64 kDeleteMaps = kValueMaps;
inline constexpr u64 kMapsOfMaps = maps(MapType::ArrayOfMaps, MapType::HashOfMaps);
inline constexpr u64 kLookupMaps = kValueMaps | kMapsOfMaps |
                                   maps(MapType::Devmap, MapType::DevmapHash, MapType::Xskmap,
                                        MapType::Sockmap, MapType::Sockhash);
inline constexpr u64 kProgArrays = maps(MapType::ProgArray);
inline constexpr u64 kPerfMaps = maps(MapType::PerfEventArray);
inline constexpr u64 kStackTraceMaps = maps(MapType::StackTrace);
inline constexpr u64 kCgroupMaps = maps(MapType::CgroupArray);
inline constexpr u64 kRedirectMaps =
    maps(MapType::Devmap, MapType::DevmapHash, MapType::Cpumap, MapType::Xskmap);
inline constexpr u64 kSockmaps = maps(MapType::Sockmap);
inline constexpr u64 kSockhashes = maps(MapType::Sockhash);
inline constexpr u64 kReuseportMaps =
    maps(MapType::ReuseportSockarray, MapType::Sockmap, MapType::Sockhash);
inline constexpr u64 kCgroupStorageMaps =
    maps(MapType::CgroupStorage, MapType::PercpuCgroupStorage);
inline constexpr u64 kQueueMaps = maps(MapType::Queue, MapType::Stack);
inline constexpr u64 kQueueMapsAndBloom = kQueueMaps | maps(MapType::BloomFilter);
inline constexpr u64 kSkStorageMaps = maps(MapType::SkStorage);
inline constexpr u64 kInodeStorageMaps = maps(MapType::InodeStorage);
inline constexpr u64 kTaskStorageMaps = maps(MapType::TaskStorage);
inline constexpr u64 kCgrpStorageMaps = maps(MapType::CgrpStorage);
inline constexpr u64 kRingMaps = maps(MapType::Ringbuf);
inline constexpr u64 kUserRingMaps = maps(MapType::UserRingbuf);
inline constexpr u64 kIterableMaps =
    maps(MapType::Hash, MapType::PercpuHash, MapType::LruHash, MapType::LruPercpuHash,
         MapType::Array, MapType::PercpuArray);
inline constexpr u64 kTimerMaps = maps(MapType::Hash, MapType::LruHash, MapType::Array);
inline constexpr u64 kPercpuMaps =
    maps(MapType::PercpuHash, MapType::LruPercpuHash, MapType::PercpuArray);
inline constexpr u64 kSampleMaps = maps(MapType::SampleHashMap);

// --- flags --------------------------------------------------------------------------------------
inline constexpr u32 kNoFlags = 0;
inline constexpr u32 kChangesPacket = 1 << 0;
inline constexpr u32 kMaySleep = 1 << 1;
inline constexpr u32 kGplOnly = 1 << 2;
inline constexpr u32 kAcquires = 1 << 3;
inline constexpr u32 kReleases = 1 << 4;
inline constexpr u32 kPrivileged = 1 << 5;
inline constexpr u32 kImplemented = 1 << 6;
inline constexpr u32 kImplicitContext = 1 << 7;
inline constexpr u32 kWritesMap = 1 << 8;

constexpr HelperFlags flags(u32 bits) {
    HelperFlags f;
    f.changes_packet = (bits & kChangesPacket) != 0;
    f.may_sleep = (bits & kMaySleep) != 0;
    f.gpl_only = (bits & kGplOnly) != 0;
    f.acquires = (bits & kAcquires) != 0;
    f.releases = (bits & kReleases) != 0;
    f.privileged = (bits & kPrivileged) != 0;
    f.implemented = (bits & kImplemented) != 0;
    f.implicit_context = (bits & kImplicitContext) != 0;
    f.writes_map = (bits & kWritesMap) != 0;
    return f;
}

// A helper as one dialect has it.
struct Column {
    i32 number = -1;
    u64 callers = 0;
    HelperProto proto{};
};

struct Arguments {
    ArgKind kinds[kMaxHelperArgs] = {};
};

constexpr Column column(Helper id, const char* name, i32 number, u64 callers, u64 maps, u32 bits,
                        RetKind ret, Arguments arguments) {
    Column c;
    c.number = number;
    c.callers = callers;
    c.proto.id = id;
    c.proto.name = name;
    c.proto.number = number;
    c.proto.ret = ret;
    for (int i = 0; i < kMaxHelperArgs; ++i) c.proto.args[i] = arguments.kinds[i];
    c.proto.flags = flags(bits);
    c.proto.map_types = static_cast<u32>(maps);
    c.proto.map_types_high = static_cast<u32>(maps >> 32);
    return c;
}

struct Row {
    HelperInfo info{};
    Column columns[kDialectCount] = {};
};

constexpr Row row(HelperInfo info, Column linux_column, Column windows_column) {
    Row r{info, {linux_column, windows_column}};
    for (int d = 0; d < kDialectCount; ++d) {
        r.info.number[d] = r.columns[d].number;
        r.info.callers[d] = r.columns[d].callers;
        if (r.columns[d].number < 0) r.columns[d].proto.name = info.name;
    }
    return r;
}

namespace rows {
using enum ArgKind;

#define LINUX(number, callers, maps, bits, ret, ...) \
    column(kId, kName, number, callers, maps, bits, RetKind::ret, Arguments{{__VA_ARGS__}})
#define WINDOWS LINUX
#define KFUNC(callers, maps, bits, ret, ...) LINUX(kByName, callers, maps, bits, ret, __VA_ARGS__)
#define NONE \
    Column {}
#define HELPER(id, c_name, c_result, c_parameters, linux_column, windows_column, text)        \
    [] {                                                                                      \
        [[maybe_unused]] constexpr Helper kId = Helper::id;                                   \
        [[maybe_unused]] constexpr const char* kName = c_name;                                \
        return row({kId, kName, c_result, c_parameters, text}, linux_column, windows_column); \
    }(),
inline constexpr Row kTable[] = {
#include "spec/helpers.def"
};
#undef LINUX
#undef WINDOWS
#undef KFUNC
#undef NONE

}  // namespace rows

inline constexpr std::array<Row, kHelperCount> kRows = std::to_array(rows::kTable);

// Whether programs of a type may call the helper in that dialect by its number.
constexpr bool callable(const Row& r, Dialect dialect, ProgramType type) {
    const Column& c = r.columns[static_cast<std::size_t>(dialect)];
    return c.number >= 0 && c.number != kByName && (c.callers >> static_cast<u32>(type) & 1) != 0;
}

// The helpers of one program type in one dialect, sorted by number.
template <Dialect dialect, ProgramType type>
consteval auto helpers_of() {
    constexpr std::size_t count = [] {
        std::size_t n = 0;
        for (const Row& r : kRows) n += callable(r, dialect, type) ? 1 : 0;
        return n;
    }();
    std::array<const HelperProto*, count> found{};
    std::size_t n = 0;
    for (const Row& r : kRows) {
        if (!callable(r, dialect, type)) continue;
        const HelperProto* proto = &r.columns[static_cast<std::size_t>(dialect)].proto;
        std::size_t at = n++;
        for (; at > 0 && found[at - 1]->number > proto->number; --at) found[at] = found[at - 1];
        found[at] = proto;
    }
    return found;
}

}  // namespace ebpf::spec::helper_table
