// SPDX-License-Identifier: MIT
//
// Helpers on dynamic pointers: to memory of map values, and to records of ring buffers whose size
// is known only when the program runs.
#include "runtime/dynptr.hpp"
#include "runtime/helper_call.hpp"

namespace ebpf::runtime {
namespace {

Dynptr& dynptr_at(u64 address) {
    return *memory<Dynptr>(address);
}

bool inside(const Dynptr& pointer, u64 offset, u64 size) {
    return size <= pointer.size && offset <= pointer.size - size;
}

u64 low(u64 value) {
    return value & 0xffffffff;
}

// r1 memory, r2 its size, r3 flags, r4 the new dynamic pointer.
HELPER_FUNCTION(dynptr_from_mem) {
    Dynptr& made = dynptr_at(r4) = {};
    if (low(r2) > kMaxDynptrSize) return returned(invocation, Errc::TooLarge);
    if (r3 != 0) return returned(invocation, Errc::InvalidArgument);
    made = {memory<std::byte>(r1), static_cast<u32>(r2), 0};
    return 0;
}

// r1 ring buffer, r2 size, r3 flags, r4 the new dynamic pointer, which is nothing after an error.
HELPER_FUNCTION(ringbuf_reserve_dynptr) {
    Dynptr& made = dynptr_at(r4) = {};
    if (r3 != 0) return returned(invocation, Errc::InvalidArgument);
    if (low(r2) > kMaxDynptrSize) return returned(invocation, Errc::TooLarge);
    void* const record = ring_reserve(map_at(r1), low(r2));
    if (record == nullptr) return returned(invocation, Errc::InvalidArgument);
    made = {static_cast<std::byte*>(record), static_cast<u32>(r2), 0};
    return 0;
}

void commit(Dynptr& pointer, u64 flags, bool discard) {
    if (pointer.data != nullptr) ring_commit(pointer.data, flags, discard);
    pointer = {};
}

HELPER_FUNCTION(ringbuf_submit_dynptr) {
    commit(dynptr_at(r1), r2, false);
    return 0;
}

HELPER_FUNCTION(ringbuf_discard_dynptr) {
    commit(dynptr_at(r1), r2, true);
    return 0;
}

// r1 memory, r2 size, r3 dynamic pointer, r4 offset, r5 flags. The two may overlap.
HELPER_FUNCTION(dynptr_read) {
    const Dynptr& from = dynptr_at(r3);
    const u64 size = low(r2), offset = low(r4);
    if (from.data == nullptr || r5 != 0) return returned(invocation, Errc::InvalidArgument);
    if (!inside(from, offset, size)) return returned(invocation, Errc::TooLarge);
    if (size != 0) std::memmove(memory(r1), from.data + offset, size);
    return 0;
}

// r1 dynamic pointer, r2 offset, r3 memory, r4 size, r5 flags.
HELPER_FUNCTION(dynptr_write) {
    const Dynptr& to = dynptr_at(r1);
    const u64 size = low(r4), offset = low(r2);
    if (to.data == nullptr || to.read_only != 0) return returned(invocation, Errc::InvalidArgument);
    if (!inside(to, offset, size)) return returned(invocation, Errc::TooLarge);
    if (r5 != 0) return returned(invocation, Errc::InvalidArgument);
    if (size != 0) std::memmove(to.data + offset, memory(r3), size);
    return 0;
}

// r1 dynamic pointer, r2 offset, r3 size: these bytes, or null.
HELPER_FUNCTION(dynptr_data) {
    const Dynptr& of = dynptr_at(r1);
    const u64 offset = low(r2);
    if (of.data == nullptr || of.read_only != 0 || !inside(of, offset, low(r3))) return 0;
    return reinterpret_cast<u64>(of.data + offset);
}

constexpr HelperRow kRows[] = {
    HELPER_ROW(dynptr_from_mem),       HELPER_ROW(ringbuf_reserve_dynptr),
    HELPER_ROW(ringbuf_submit_dynptr), HELPER_ROW(ringbuf_discard_dynptr),
    HELPER_ROW(dynptr_read),           HELPER_ROW(dynptr_write),
    HELPER_ROW(dynptr_data),
};

}  // namespace

std::span<const HelperRow> dynptr_helpers() {
    return kRows;
}

}  // namespace ebpf::runtime
