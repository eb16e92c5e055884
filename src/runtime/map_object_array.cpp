// SPDX-License-Identifier: MIT
//
// Arrays of objects. Prog arrays: programs for tail calls, all of one type and dialect. A program
// that is in an array keeps it alive, and the array the program; the circle ends when no
// application can reach the array any more: then it is emptied, as on Linux. Arrays of maps: a map
// that holds maps is in no other, so there are no circles. Perf event arrays: ring buffers
// (map_perf.cpp).
#include <cstring>

#include "platform/memory.hpp"
#include "runtime/map.hpp"
#include "runtime/program.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

struct Entries {
    platform::SpinLock lock;  // writers
    platform::Event ready;
    bool typed = false;
    spec::ProgramType type{};
    spec::Dialect dialect{};
    u64 count = 0;  // here for compiled code, as code::kSlotCount says
    std::atomic<Object*> objects[];
};
static_assert(offsetof(Entries, objects) + code::kSlotCount == offsetof(Entries, count));

Entries& entries_of(const Map& map) {
    return *static_cast<Entries*>(map.state);
}

u32 index_of(const void* key) {
    u32 index;
    std::memcpy(&index, key, sizeof index);
    return index;
}

Status create(Map& map) {
    if (map.max_entries > (1u << 28))
        return fail(Errc::TooLarge, {}, "max_entries", map.max_entries);
    map.state = platform::allocate(sizeof(Entries) + u64{map.max_entries} * sizeof(Object*));
    if (map.state == nullptr) return fail(Errc::NoMemory, {}, "array", map.max_entries);
    entries_of(map).count = map.max_entries;
    return {};
}

// Puts `object` (or null) in place of what is there, which loses the array's reference; whether
// there was something.
bool exchange(Map& map, u32 index, Object* object) {
    Object* old = entries_of(map).objects[index].exchange(object, std::memory_order_acq_rel);
    if (old != nullptr) release(*old);
    return old != nullptr;
}

void forgotten(Map& map) {
    for (u32 i = 0; i < map.max_entries; ++i) exchange(map, i, nullptr);
}

// Linux drops the rings with the descriptor that they were put in by, unless this flag is set.
void rings_forgotten(Map& map) {
    if ((map.flags & spec::kMapPreserveElems) == 0) forgotten(map);
}

void destroy(Map& map) {
    forgotten(map);
    platform::release(map.state);
}

Status check_program(Map& map, Object& object) {
    if (object.kind != ObjectKind::Program) return fail(Errc::InvalidArgument, {}, "not a program");
    const auto& program = static_cast<Program&>(object);
    return prog_array_bind(map, program.type, program.dialect);
}

Status check_map(Map& map, Object& object) {
    if (object.kind != ObjectKind::Map) return fail(Errc::InvalidArgument, {}, "not a map");
    return check_inner(map, static_cast<Map&>(object));
}

// Linux wants a performance event: of any other descriptor it says this.
Status check_ring(Map&, Object& object) {
    const bool ring = object.kind == ObjectKind::Map && static_cast<Map&>(object).ops == &kRingOps;
    return ring ? Status{} : fail(Errc::InvalidFd, {}, "not a ring buffer");
}

Status create_perf(Map& map) {
    if (map.key_size == 0) {
        return fail(Errc::NotSupported, {}, "eBPF for Windows' perf event array, with own rings");
    }
    return create(map);
}

template <Status (*check)(Map&, Object&)>
Status write_object(Map& map, const void* key, Object& object, u64 flags) {
    if (flags != kUpdateAny) return fail(Errc::InvalidArgument, {}, "flags", flags);
    const u32 index = index_of(key);
    if (index >= map.max_entries) return fail(Errc::TooLarge, {}, "index", index);
    TRY(check(map, object));
    acquire(object);
    exchange(map, index, &object);
    return {};
}

void* lookup_map(Map& map, const void* key, u32) {
    return static_cast<Map*>(object_at(map, index_of(key)));
}

Status remove(Map& map, const void* key) {
    const u32 index = index_of(key);
    if (index >= map.max_entries) return fail(Errc::TooLarge, {}, "index", index);
    if (!exchange(map, index, nullptr)) return fail(Errc::KeyNotFound, {}, "index", index);
    return {};
}

// An application reads an object's id.
Status read(Map& map, const void* key, void* value) {
    const Object* object = object_at(map, index_of(key));
    if (object == nullptr) return fail(Errc::KeyNotFound, {}, "index", index_of(key));
    std::memcpy(value, &object->id, sizeof object->id);
    return {};
}

Status next_key(Map& map, const void* key, void* next) {
    return kArrayOps.next_key(map, key, next);
}

}  // namespace

Object* object_at(const Map& map, u64 index) {
    if (index >= map.max_entries) return nullptr;
    return entries_of(map).objects[index].load(std::memory_order_acquire);
}

platform::Event& object_array_event(const Map& map) {
    return entries_of(map).ready;
}

Status prog_array_bind(Map& map, spec::ProgramType type, spec::Dialect dialect) {
    if (map.ops != &kProgArrayOps) return {};
    Entries& entries = entries_of(map);
    platform::LockGuard guard(entries.lock);
    if (!entries.typed) {
        entries.typed = true;
        entries.type = type;
        entries.dialect = dialect;
    } else if (entries.type != type || entries.dialect != dialect) {
        return fail(Errc::InvalidArgument, {}, "a prog array's programs are of another type");
    }
    return {};
}

const void* object_slots(const Map& map) {
    const bool known = map.ops == &kProgArrayOps || map.ops == &kArrayOfMapsOps;
    return known ? entries_of(map).objects : nullptr;
}

const Program* prog_array_at(const Map& map, u64 index) {
    return static_cast<const Program*>(object_at(map, index));
}

const MapOps kProgArrayOps = {.create = create,
                              .destroy = destroy,
                              .remove = remove,
                              .read = read,
                              .next_key = next_key,
                              .no_batches = true,
                              .write_object = write_object<check_program>,
                              .forgotten = forgotten};

const MapOps kArrayOfMapsOps = {.create = create,
                                .destroy = destroy,
                                .lookup = lookup_map,
                                .remove = remove,
                                .read = read,
                                .next_key = next_key,
                                .write_object = write_object<check_map>};

const MapOps kPerfEventArrayOps = {.create = create_perf,
                                   .destroy = destroy,
                                   .remove = remove,
                                   .next_key = next_key,
                                   .no_batches = true,
                                   .write_object = write_object<check_ring>,
                                   .wait = perf_wait,
                                   .forgotten = rings_forgotten};

}  // namespace ebpf::runtime
