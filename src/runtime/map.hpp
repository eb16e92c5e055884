// SPDX-License-Identifier: MIT
//
// Maps: one operations table per type, and nothing else that asks for a type. A program's view of a
// per-CPU map is its slot's value; an application's is all of them in a row.
#pragma once

#include "runtime/object.hpp"
#include "spec/map_types.hpp"

namespace ebpf::runtime {

struct Map;

// BPF_ANY, BPF_NOEXIST, BPF_EXIST.
inline constexpr u64 kUpdateAny = 0;
inline constexpr u64 kUpdateNoExist = 1;
inline constexpr u64 kUpdateExist = 2;

// An absent operation is NotSupported. All but create and destroy run inside an epoch, at DISPATCH.
struct MapOps {
    Status (*create)(Map& map) = nullptr;  // makes map.state; PASSIVE
    void (*destroy)(Map& map) = nullptr;   // of a created map that nobody sees any more
    // Programs:
    void* (*lookup)(Map& map, const void* key, u32 slot) = nullptr;  // the live value, or null
    Status (*update)(Map& map, const void* key, const void* value, u64 flags, u32 slot) = nullptr;
    Status (*remove)(Map& map, const void* key) = nullptr;
    // Applications; for a per-CPU map `value` is of value_size padded to 8 bytes, times the slots.
    Status (*read)(Map& map, const void* key, void* value) = nullptr;
    Status (*write)(Map& map, const void* key, const void* value, u64 flags) = nullptr;
    Status (*take)(Map& map, const void* key, void* value) = nullptr;     // read and remove at once
    Status (*next_key)(Map& map, const void* key, void* next) = nullptr;  // key null: the first
    // Maps of objects: an application puts in an object and gets out its id.
    Status (*write_object)(Map& map, const void* key, Object& object, u64 flags) = nullptr;
    // The address of byte `offset` of the first value, for data sections.
    void* (*value_address)(Map& map, u32 offset) = nullptr;
    // No application can reach the map any more.
    void (*forgotten)(Map& map) = nullptr;
};

struct Map : Object {
    const MapOps* ops = nullptr;
    const spec::MapTypeInfo* info = nullptr;
    u32 key_size = 0;
    u32 value_size = 0;
    u32 max_entries = 0;
    u32 flags = 0;
    u32 slots = 0;                    // execution slots
    u32 value_stride = 0;             // value_size padded to 8
    std::atomic<bool> frozen{false};  // applications may no longer write
    void* state = nullptr;            // the type's own

    // Bytes of a value as an application passes it.
    u64 user_value_size() const { return info->percpu ? u64{value_stride} * slots : value_size; }
};

// The operations of a type, or null when the runtime does not have it.
const MapOps* map_ops(spec::MapType type);

extern const MapOps kArrayOps;
extern const MapOps kPercpuArrayOps;
extern const MapOps kHashOps;
extern const MapOps kProgArrayOps;
extern const MapOps kRingOps;

// --- what one type offers beside the operations -------------------------------------------------

struct Program;
// The programs of a prog array and those that tail-call through it are of one type and dialect,
// since they share the context. The first to come says which: a program that is put in or one that
// is installed with the map. InvalidArgument for others. Does nothing for other maps.
Status prog_array_bind(Map& map, spec::ProgramType type, spec::Dialect dialect);
// The program at `index` of a prog array, or null; valid inside the epoch.
const Program* prog_array_at(const Map& map, u64 index);

// Ring buffers. `record` is what ring_reserve returned; the records are Linux's.
void* ring_reserve(Map& map, u64 size);
void ring_commit(void* record, u64 flags, bool discard);
Status ring_output(Map& map, const void* data, u64 size, u64 flags);
u64 ring_query(const Map& map, u64 what);
struct RingView {
    std::byte* consumer;
    std::byte* producer;
    std::byte* data;
    u64 size;
};
RingView ring_view(const Map& map);
// Whether there is something to read; waits at most timeout_ms (-1: for ever). PASSIVE, outside
// epochs.
bool ring_wait(Map& map, i32 timeout_ms);

}  // namespace ebpf::runtime
