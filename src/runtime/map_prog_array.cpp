// SPDX-License-Identifier: MIT
//
// Prog arrays: programs for tail calls, all of one type and dialect. A program that is in an array
// keeps it alive, and the array the program; the circle ends when no application can reach the
// array any more: then it is emptied, as on Linux.
#include <cstring>

#include "platform/memory.hpp"
#include "runtime/map.hpp"
#include "runtime/program.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

struct Entries {
    platform::SpinLock lock;  // writers
    bool typed = false;
    spec::ProgramType type{};
    spec::Dialect dialect{};
    std::atomic<Program*> programs[];
};

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
    map.state = platform::allocate(sizeof(Entries) + u64{map.max_entries} * sizeof(Program*));
    if (map.state == nullptr) return fail(Errc::NoMemory, {}, "prog array", map.max_entries);
    return {};
}

// Puts `program` (or null) in place of what is there, which loses the array's reference; whether
// there was something.
bool exchange(Map& map, u32 index, Program* program) {
    Program* old = entries_of(map).programs[index].exchange(program, std::memory_order_acq_rel);
    if (old != nullptr) release(*old);
    return old != nullptr;
}

void forgotten(Map& map) {
    for (u32 i = 0; i < map.max_entries; ++i) exchange(map, i, nullptr);
}

void destroy(Map& map) {
    forgotten(map);
    platform::release(map.state);
}

Status write_object(Map& map, const void* key, Object& object, u64 flags) {
    if (flags != kUpdateAny) return fail(Errc::InvalidArgument, {}, "flags", flags);
    const u32 index = index_of(key);
    if (index >= map.max_entries) return fail(Errc::TooLarge, {}, "index", index);
    if (object.kind != ObjectKind::Program) return fail(Errc::InvalidArgument, {}, "not a program");
    auto& program = static_cast<Program&>(object);
    TRY(prog_array_bind(map, program.type, program.dialect));
    acquire(program);
    exchange(map, index, &program);
    return {};
}

Status remove(Map& map, const void* key) {
    const u32 index = index_of(key);
    if (index >= map.max_entries) return fail(Errc::TooLarge, {}, "index", index);
    if (!exchange(map, index, nullptr)) return fail(Errc::KeyNotFound, {}, "index", index);
    return {};
}

// An application reads a program's id.
Status read(Map& map, const void* key, void* value) {
    const Program* program = prog_array_at(map, index_of(key));
    if (program == nullptr) return fail(Errc::KeyNotFound, {}, "index", index_of(key));
    std::memcpy(value, &program->id, sizeof program->id);
    return {};
}

Status next_key(Map& map, const void* key, void* next) {
    return kArrayOps.next_key(map, key, next);
}

}  // namespace

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

const Program* prog_array_at(const Map& map, u64 index) {
    if (index >= map.max_entries) return nullptr;
    return entries_of(map).programs[index].load(std::memory_order_acquire);
}

const MapOps kProgArrayOps = {.create = create,
                              .destroy = destroy,
                              .remove = remove,
                              .read = read,
                              .next_key = next_key,
                              .write_object = write_object,
                              .forgotten = forgotten};

}  // namespace ebpf::runtime
