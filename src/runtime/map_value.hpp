// SPDX-License-Identifier: MIT
//
// What lies in a map's value: plain bytes, and where its type says so a lock and a timer
// (Map::fields). Copies leave those out: into a map they stay as they are, out of it they are zero.
//
// A lock is the 4 bytes of struct bpf_spin_lock, 1 while somebody holds it. Who takes one is inside
// an epoch, so at DISPATCH: in the Windows kernel its thread keeps the CPU until it gives the lock
// back, and nothing that runs above DISPATCH takes locks. Nobody who holds one takes another or
// waits: programs call no helper meanwhile (the verifier's rule), and applications only copy. So
// waiting ends, and no lock is held when a run has ended (which debug builds check).
#pragma once

#include <cstring>

#include "runtime/map.hpp"

namespace ebpf::runtime {

// Of a map whose values have a lock or timer:
void write_around_fields(const Map& map, void* value, const void* from);
void make_around_fields(const Map& map, void* value, const void* from);
void end_timer_of(Map& map, void* value, bool deleted);  // of a map whose values have timers

// All for maps that are not per CPU, inside an epoch.

// Copies a value's plain bytes from `from` into one that others may see.
inline void write_value(const Map& map, void* value, const void* from) {
    if (map.fields.any()) [[unlikely]]
        return write_around_fields(map, value, from);
    copy_words(value, from, map.value_size);
}
// Makes a value that nobody sees yet of the bytes at `from`: its lock is free.
inline void make_value(const Map& map, void* value, const void* from) {
    if (map.fields.any()) [[unlikely]]
        return make_around_fields(map, value, from);
    std::memcpy(value, from, map.value_size);
}
// Copies a value's bytes out. `locked`: while its lock is held; the map's values have one.
void read_value(const Map& map, void* to, const void* value, bool locked = false);

// Its value was written by an update, or deleted: a timer in it ends (Timers::end).
inline void end_timer(Map& map, void* value, bool deleted) {
    if (map.fields.timer >= 0) end_timer_of(map, value, deleted);
}

// With BPF_F_LOCK among the flags: an element that is there is written in place with its lock held,
// so that who reads with the lock sees the old value or the new one. InvalidArgument when values
// have no lock; else what MapOps::update says. Absent elements are made.
Status update_locked(Map& map, const void* key, const void* value, u64 flags, u32 slot);
// Copies the value of a key out with its lock held. KeyNotFound; the map's values have a lock.
Status read_locked(Map& map, const void* key, void* to);

// The lock of a value, `lock` its 4 bytes.
void take_lock(void* lock);
void give_lock(void* lock);

}  // namespace ebpf::runtime
