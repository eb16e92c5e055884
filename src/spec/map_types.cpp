// SPDX-License-Identifier: MIT
#include "spec/map_types.hpp"

namespace ebpf::spec {
namespace {

using enum SizeRule;

constexpr u32 kNone = 0;
constexpr u32 kPercpu = 1;
constexpr u32 kIndexKey = 2;
constexpr u32 kLock = 4;
constexpr u32 kTimer = 8;
constexpr u32 kAsksValue = 16;

constexpr u32 kNoPrealloc = kMapNoPrealloc;
constexpr u32 kNoCommonLru = kMapNoCommonLru;
constexpr u32 kNumaNode = kMapNumaNode;
constexpr u32 kSyscallAccess = kMapReadOnly | kMapWriteOnly;
constexpr u32 kAccess = kSyscallAccess | kMapReadOnlyProgram | kMapWriteOnlyProgram;
constexpr u32 kStackBuildId = kMapStackBuildId;
constexpr u32 kZeroSeed = kMapZeroSeed;
constexpr u32 kClone = kMapClone;
constexpr u32 kMmapable = kMapMmapable;
constexpr u32 kPreserveElems = kMapPreserveElems;
constexpr u32 kInnerMap = kMapInnerMap;

constexpr MapTypeInfo kRows[] = {
#define MAP_TYPE(id, linux_number, windows_number, name, key_rule, value_rule, entries_rule, \
                 traits, holds_what, allowed, btf_rule, done, text)                          \
    {MapType::id,                                                                            \
     name,                                                                                   \
     text,                                                                                   \
     {linux_number, windows_number},                                                         \
     key_rule,                                                                               \
     value_rule,                                                                             \
     EntriesRule::entries_rule,                                                              \
     Holds::holds_what,                                                                      \
     ((traits) & kPercpu) != 0,                                                              \
     ((traits) & kIndexKey) != 0,                                                            \
     ((traits) & kLock) != 0,                                                                \
     ((traits) & kTimer) != 0,                                                               \
     ((traits) & kAsksValue) != 0,                                                           \
     done,                                                                                   \
     BtfRule::btf_rule,                                                                      \
     allowed},
#include "spec/map_types.def"
};

constexpr u32 kMaxLpmKey = 4 + 256;

bool fits(SizeRule rule, Dialect dialect, u32 size) {
    switch (rule) {
        case Any:
            return size > 0;
        case Zero:
            return size == 0;
        case Four:
            return size == 4;
        case FourOrZero:
            return size == (dialect == Dialect::Linux ? 4u : 0u);
        case FourOrEight:
            return size == 4 || size == 8;
        case EightMultiple:
            return size > 0 && size % 8 == 0;
        case LpmKey:
            return size > 4 && size <= kMaxLpmKey;
        case StorageKey:
            return size == 8 || size == 16;
    }
    return false;
}

bool fits(EntriesRule rule, Dialect dialect, u32 entries, u32 page_size) {
    switch (rule) {
        case EntriesRule::Positive:
            return entries > 0;
        case EntriesRule::Zero:
            return entries == 0;
        case EntriesRule::One:
            return entries == 1;
        case EntriesRule::RingBytes:
            return entries > 0 && (entries & (entries - 1)) == 0 && entries % page_size == 0;
        case EntriesRule::PerCpu:
            if (dialect == Dialect::Linux) return entries > 0;
            return fits(EntriesRule::RingBytes, dialect, entries, page_size);
    }
    return false;
}

}  // namespace

const MapTypeInfo& info(MapType type) {
    return kRows[static_cast<std::size_t>(type)];
}

i32 number(Dialect dialect, MapType type) {
    return info(type).number[static_cast<std::size_t>(dialect)];
}

std::optional<MapType> map_type_from_number(Dialect dialect, u32 number) {
    if (number == 0) return std::nullopt;
    for (const MapTypeInfo& row : kRows) {
        if (row.number[static_cast<std::size_t>(dialect)] == static_cast<i64>(number))
            return row.type;
    }
    return std::nullopt;
}

std::optional<MapType> map_type_from_name(std::string_view name) {
    for (const MapTypeInfo& row : kRows) {
        if (row.name == name && row.type != MapType::Unspec) return row.type;
    }
    return std::nullopt;
}

bool fits(const MapTypeInfo& type, Dialect dialect, u32 key_size, u32 value_size, u32 max_entries,
          u32 page_size) {
    return fits(type.key, dialect, key_size) && fits(type.value, dialect, value_size) &&
           fits(type.entries, dialect, max_entries, page_size);
}

}  // namespace ebpf::spec
