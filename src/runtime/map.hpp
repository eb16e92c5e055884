// SPDX-License-Identifier: MIT
//
// Maps: one operations table per type, and nothing else that asks for a type. A program's view of a
// per-CPU map is its slot's value; an application's is all of them in a row.
#pragma once

#include "btf/value_fields.hpp"
#include "platform/memory.hpp"
#include "runtime/object.hpp"
#include "spec/map_types.hpp"

namespace ebpf::runtime {

struct Map;
struct Btf;
struct Timer;

// BPF_ANY, BPF_NOEXIST, BPF_EXIST, and BPF_F_LOCK, which goes with each (map_value.hpp).
inline constexpr u64 kUpdateAny = 0;
inline constexpr u64 kUpdateNoExist = 1;
inline constexpr u64 kUpdateExist = 2;
inline constexpr u64 kUpdateLock = 4;

// The storage of a map that is one block: as much as eBPF for Windows lets a map have.
inline constexpr u64 kMaxBlockBytes = u64{1} << 37;

// A batch of elements as an application takes them out: `room` keys and values in a row.
struct Batch {
    std::byte* keys = nullptr;
    std::byte* values = nullptr;
    u32 room = 0;
    u32 count = 0;        // done so far
    bool full = false;    // what comes next does not fit
    bool locked = false;  // each with its value's lock held
};

// Called for elements; false ends the walk.
struct Visitor {
    void* self = nullptr;
    bool (*visit)(void* self, const void* key, void* value) = nullptr;
};

// Pages of a map, and what applications may do with them: kMemoryRead, kMemoryWrite.
struct MapMemory {
    platform::SharedMemory pages;
    u32 access = 0;
};
inline constexpr u32 kMemoryRead = 1;
inline constexpr u32 kMemoryWrite = 2;
inline constexpr u32 kLookupPart = 2;  // of MAP_MEMORY

// An absent operation is NotSupported. All but create and destroy run inside an epoch, at DISPATCH.
struct MapOps {
    Status (*create)(Map& map) = nullptr;  // makes map.state; PASSIVE
    void (*destroy)(Map& map) = nullptr;   // of a created map that nobody sees any more
    // Programs:
    void* (*lookup)(Map& map, const void* key, u32 slot) = nullptr;  // the live value, or null
    Status (*update)(Map& map, const void* key, const void* value, u64 flags, u32 slot) = nullptr;
    Status (*remove)(Map& map, const void* key) = nullptr;
    // Removes the element and returns its value, which the program may use as long as it runs.
    void* (*detach)(Map& map, const void* key, u32 slot) = nullptr;
    // Every element that is there from the beginning to the end, once; of a per-CPU map the slot's
    // value. The number of visits.
    u64 (*for_each)(Map& map, u32 slot, const Visitor& visitor) = nullptr;
    // Applications (of a type that asks_value, read() answers whether `value` is in the map); for a
    // per-CPU map `value` is of value_size padded to 8 bytes, times the slots.
    Status (*read)(Map& map, const void* key, void* value) = nullptr;
    Status (*write)(Map& map, const void* key, const void* value, u64 flags) = nullptr;
    Status (*take)(Map& map, const void* key, void* value) = nullptr;     // read and remove at once
    Status (*next_key)(Map& map, const void* key, void* next) = nullptr;  // key null: the first
    // Without keys (`key` is null) these three are peek, push and pop, for programs as well.
    // Copies elements from `position` (0: the start) on, which moves on, and removes them if asked.
    // NoMoreKeys at the end, InsufficientBuffer when there is no room for the next ones. Null: by
    // next_key and read.
    Status (*read_batch)(Map& map, u32& position, Batch& batch, bool remove) = nullptr;
    bool no_batches = false;  // although it has what they need: Linux has none
    // Maps of objects: an application puts in an object and gets out its id.
    Status (*write_object)(Map& map, const void* key, Object& object, u64 flags) = nullptr;
    // The address of byte `offset` of the first value, for data sections.
    void* (*value_address)(Map& map, u32 offset) = nullptr;
    // The key of a live value, of types whose values may have timers; `index` is room for one.
    const void* (*key_of)(const Map& map, const void* value, u32& index) = nullptr;
    // The memory of a ring buffer, of whichever direction.
    const platform::RingMemory& (*ring)(const Map& map) = nullptr;
    // What applications may map; false when there is no such part.
    bool (*memory)(const Map& map, u32 part, MapMemory& memory) = nullptr;
    // Whether there is something to read; waits at most timeout_ms (-1: for ever). PASSIVE, outside
    // epochs.
    bool (*wait)(Map& map, i32 timeout_ms) = nullptr;
    // No application can reach the map any more.
    void (*forgotten)(Map& map) = nullptr;

    // Whether an application can put something in.
    bool writes() const { return write != nullptr || write_object != nullptr; }
};

// What the maps in a map of maps have in common.
struct InnerSpec {
    const spec::MapTypeInfo* info = nullptr;
    u32 key_size = 0;
    u32 value_size = 0;
    u32 max_entries = 0;
    u32 flags = 0;
    btf::ValueFields fields;
};

// Lets applications' writes in until the map is frozen. It is one word, so that no write that was
// let in is still under way when the freeze has happened: the verifier takes a frozen map's content
// for constant.
class WriteGate {
  public:
    // False once the map is frozen; each true is paid back by leave().
    bool enter();
    void leave() { state_.fetch_sub(1, std::memory_order_release); }
    // Busy while a write is under way, ReadOnly when the map is frozen already (as on Linux).
    Status freeze();
    bool frozen() const { return state_.load(std::memory_order_acquire) == kFrozen; }

  private:
    static constexpr u32 kFrozen = 1u << 31;
    std::atomic<u32> state_{0};  // writes under way, or kFrozen
};

struct Map : Object {
    const MapOps* ops = nullptr;
    const spec::MapTypeInfo* info = nullptr;
    u32 key_size = 0;
    u32 value_size = 0;
    u32 max_entries = 0;
    u32 flags = 0;
    u32 slots = 0;         // execution slots
    u32 value_stride = 0;  // value_size padded to 8
    u64 extra = 0;         // map_extra: a bloom filter's number of hashes
    InnerSpec inner;       // of a map of maps
    Btf* btf = nullptr;    // what describes key and value, with a reference; or null
    u32 btf_key_type = 0;  // ids in it
    u32 btf_value_type = 0;
    btf::ValueFields fields;       // the lock and the timer of a value
    Timer* timers = nullptr;       // that programs made in values (timer.hpp)
    WriteGate write_gate;          // of applications; programs may always write
    void* state = nullptr;         // the type's own
    platform::SharedMemory pages;  // of the values, where others can have them, or none

    // Bytes of a value as an application passes it.
    u64 user_value_size() const { return info->percpu ? u64{value_stride} * slots : value_size; }
};

// The operations of a type, or null when the runtime does not have it.
const MapOps* map_ops(spec::MapType type);

extern const MapOps kArrayOps;
extern const MapOps kPercpuArrayOps;
extern const MapOps kHashOps;
extern const MapOps kPercpuHashOps;
extern const MapOps kLruHashOps;
extern const MapOps kLruPercpuHashOps;
extern const MapOps kHashOfMapsOps;
extern const MapOps kArrayOfMapsOps;
extern const MapOps kLpmTrieOps;
extern const MapOps kQueueOps;
extern const MapOps kStackOps;
extern const MapOps kBloomOps;
extern const MapOps kProgArrayOps;
extern const MapOps kPerfEventArrayOps;
extern const MapOps kRingOps;
extern const MapOps kUserRingOps;

// --- what one type offers beside the operations -------------------------------------------------

// Whether `map` may be the template of a map of maps, and whether it may lie in `outer`, made with
// such a template (Linux: bpf_map_meta_equal). InvalidArgument, NotSupported.
Status check_inner_template(const Map& map);
Status check_inner(const Map& outer, const Map& map);

struct Program;
// The programs of a prog array and those that tail-call through it are of one type and dialect,
// since they share the context. The first to come says which: a program that is put in or one that
// is installed with the map. InvalidArgument for others. Does nothing for other maps.
Status prog_array_bind(Map& map, spec::ProgramType type, spec::Dialect dialect);
// For compiled code, which knows the layouts: the first value of an array, or slot 0's of a per-CPU
// array; the first slot of a prog array or an array of maps (code/engine.hpp). Null for other maps.
const void* array_values(const Map& map);
const void* object_slots(const Map& map);
// The program at `index` of a prog array, or null; valid inside the epoch.
const Program* prog_array_at(const Map& map, u64 index);

// Flags of submitting and draining: BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP.
inline constexpr u64 kRingNoWakeup = 1;
inline constexpr u64 kRingForceWakeup = 2;

// Ring buffers. `record` is what ring_reserve returned; the records are Linux's.
void* ring_reserve(Map& map, u64 size);
void ring_commit(void* record, u64 flags, bool discard);
Status ring_output(Map& map, const void* data, u64 size, u64 flags);
u64 ring_query(const Map& map, u64 what);
// What applications map of a ring of either direction: MapOps::memory.
bool ring_part(const Map& map, u32 part, MapMemory& memory);
// For who wakes the consumer himself: finishes a record, and says whether the consumer may wait for
// it; whether there is a finished record that nobody has read; counts one that did not fit.
bool ring_finish(void* record, bool discard);
bool ring_has_data(const Map& map);
void ring_tell(const Map& map);  // whom Config::ring_ready names
void ring_count_lost(Map& map);

// User ring buffers. Hands each record that applications wrote to take(), until it answers false or
// kMaxDrained were looked at, and wakes those who wait for room as the flags say. The number of
// records that were handed out; InvalidArgument for flags, or for positions and headers that cannot
// be; TooLarge for a record that is no dynamic pointer's; Busy while another one drains.
struct RecordTaker {
    void* self = nullptr;
    bool (*take)(void* self, std::byte* data, u32 size) = nullptr;
};
inline constexpr u64 kMaxDrained = 128 * 1024;  // Linux's
Result<u64> user_ring_drain(Map& map, u64 flags, const RecordTaker& taker);

// Perf event arrays. Writes a sample of `data` and `packet` into the ring at the flags' index,
// which is the slot's own. Errors, in Linux's order: TooLarge (index), KeyNotFound (no ring there),
// NotSupported (another slot's), OutOfSpace: the ring's lost records have become one more.
Status perf_output(Map& map, u32 slot, u64 flags, Bytes data, Bytes packet);
bool perf_wait(Map& map, i32 timeout_ms);
// The object at `index` of an array of objects, or null; valid inside the epoch.
Object* object_at(const Map& map, u64 index);
// Of an array of objects: signalled when one of them has something new.
platform::Event& object_array_event(const Map& map);

// Copy a value into a map and out of one by words, while others do the same, so that no word is
// seen half-written (Linux: bpf_long_memcpy). The map's side is 8-byte aligned; the last words are
// smaller.
void copy_words(void* to, const void* from, u32 size);
void read_words(void* to, const void* from, u32 size);

}  // namespace ebpf::runtime
