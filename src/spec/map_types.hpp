// SPDX-License-Identifier: MIT
// What a map type is, as data (map_types.def): numbers, size rules, what its values are.
#pragma once

#include <optional>

#include "spec/dialect.hpp"
#include "spec/ids.hpp"

namespace ebpf::spec {

// BPF_F_* of map creation (linux/bpf.h); the same bits in both dialects.
inline constexpr u32 kMapNoPrealloc = 1u << 0;
inline constexpr u32 kMapNoCommonLru = 1u << 1;
inline constexpr u32 kMapNumaNode = 1u << 2;
inline constexpr u32 kMapReadOnly = 1u << 3;  // for the application
inline constexpr u32 kMapWriteOnly = 1u << 4;
inline constexpr u32 kMapStackBuildId = 1u << 5;
inline constexpr u32 kMapZeroSeed = 1u << 6;
inline constexpr u32 kMapReadOnlyProgram = 1u << 7;  // for programs
inline constexpr u32 kMapWriteOnlyProgram = 1u << 8;
inline constexpr u32 kMapClone = 1u << 9;
inline constexpr u32 kMapMmapable = 1u << 10;
inline constexpr u32 kMapPreserveElems = 1u << 11;
inline constexpr u32 kMapInnerMap = 1u << 12;

enum class SizeRule : u8 {
    Any,
    Zero,
    Four,
    FourOrZero,
    FourOrEight,
    EightMultiple,
    LpmKey,
    StorageKey
};
enum class EntriesRule : u8 { Positive, Zero, One, RingBytes, PerCpu };
enum class BtfRule : u8 { AnyKey, IndexKey, StructKey, NoKey, Refused };
enum class Holds : u8 { Nothing, Bytes, Map, Program, PerfEvent, Cgroup, Device, Cpu, Socket };

struct MapTypeInfo {
    MapType type{};
    const char* name = nullptr;  // "hash"; what tools print
    const char* text = nullptr;  // one line of documentation
    i16 number[kDialectCount] = {-1, -1};
    SizeRule key{};
    SizeRule value{};
    EntriesRule entries{};
    Holds holds{};
    bool percpu = false;       // a value per execution slot, each padded to 8 bytes
    bool index_key = false;    // the key is a u32 below max_entries
    bool spin_lock = false;    // a value may have a bpf_spin_lock
    bool timer = false;        // a value may have a bpf_timer
    bool asks_value = false;   // a lookup reads the value, and answers whether it is in the map
    bool implemented = false;  // the runtime has it today
    BtfRule btf{};             // what BTF a key may have
    u32 flags = 0;             // kMap* bits that creation allows

    // A value is a handle going in and an id coming out.
    constexpr bool holds_handles() const {
        return holds != Holds::Bytes && holds != Holds::Nothing;
    }
};

inline constexpr int kMapTypeCount = 0
#define MAP_TYPE(...) +1
#include "spec/map_types.def"
    ;
static_assert(kMapTypeCount <= 64, "HelperProto holds sets of map types as 64 bits");

// The row of a type.
const MapTypeInfo& info(MapType type);

// The dialect's number of a type, -1 when it has none.
i32 number(Dialect dialect, MapType type);

// The type that a dialect calls `number`. MapType::Unspec is no answer: 0 is nothing.
std::optional<MapType> map_type_from_number(Dialect dialect, u32 number);

// The type with this name ("lru_hash"), in any dialect.
std::optional<MapType> map_type_from_name(std::string_view name);

// Whether applications may write the values of a map with these flags in pages that they map
// (Linux: bpf_map_mmap).
constexpr bool is_mapped_writable(u32 flags) {
    return (flags & kMapMmapable) != 0 && (flags & (kMapReadOnly | kMapReadOnlyProgram)) == 0;
}

// Whether a program's lookup gives a socket, which it has to release (Linux: is_acquire_function).
constexpr bool gives_sockets(MapType type) {
    return type == MapType::Sockmap || type == MapType::Sockhash;
}

// Bytes from value to value where they lie in a row, as in arrays.
constexpr u64 value_stride(u32 value_size) {
    return (u64{value_size} + 7) & ~u64{7};
}

// Whether sizes keep to the rules of the row (what creation checks before anything else). page_size
// is the ring buffers' granule, in bytes.
bool fits(const MapTypeInfo& type, Dialect dialect, u32 key_size, u32 value_size, u32 max_entries,
          u32 page_size = 4096);

}  // namespace ebpf::spec
