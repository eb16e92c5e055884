// SPDX-License-Identifier: MIT
//
// Helpers on dynamic pointers: to memory of map values, to records of ring buffers whose size is
// known only when the program runs, and to the packet.
#include "runtime/dynptr.hpp"
#include "runtime/helper_call.hpp"
#include "spec/program_types.hpp"

namespace ebpf::runtime {
namespace {

Dynptr& dynptr_at(u64 address) {
    return *memory<Dynptr>(address);
}

u64 low(u64 value) {
    return value & 0xffffffff;
}

// The packet as it is now.
MutableBytes packet_of(const Invocation& invocation) {
    const Program& program = program_of(invocation);
    const spec::ProgramTypeInfo* type = spec::program_info(program.dialect, program.type);
    std::byte* begin = nullptr;
    std::byte* end = nullptr;
    for (const spec::ContextField& field : type->context.fields) {
        const auto place = static_cast<const std::byte*>(invocation.context) + field.native_offset;
        if (field.kind == spec::FieldKind::PacketStart) std::memcpy(&begin, place, sizeof begin);
        if (field.kind == spec::FieldKind::PacketEnd) std::memcpy(&end, place, sizeof end);
    }
    return {begin, end};
}

// These bytes of it. Errors: InvalidArgument of nothing, and where the packet has become shorter;
// TooLarge outside of it.
Result<std::byte*> part(const Invocation& invocation, const Dynptr& of, u64 offset, u64 size) {
    if (of.is(Dynptr::Of::Nothing)) return fail(Errc::InvalidArgument);
    if (size > of.size || offset > of.size - size) return fail(Errc::TooLarge);
    const u64 place = of.offset + offset;
    if (of.is(Dynptr::Of::Memory)) return of.data + place;
    const MutableBytes packet = packet_of(invocation);
    if (size > packet.size() || place > packet.size() - size) return fail(Errc::InvalidArgument);
    return packet.data() + place;
}

// The same, to be written: InvalidArgument, too, of what can only be read.
Result<std::byte*> writable_part(const Invocation& invocation, const Dynptr& of, u64 offset,
                                 u64 size) {
    if (of.read_only != 0) return fail(Errc::InvalidArgument);
    return part(invocation, of, offset, size);
}

// r1 memory, r2 its size, r3 flags, r4 the new dynamic pointer.
HELPER_FUNCTION(dynptr_from_mem) {
    Dynptr& made = dynptr_at(r4) = {};
    if (low(r2) > kMaxDynptrSize) return returned(invocation, Errc::TooLarge);
    if (r3 != 0) return returned(invocation, Errc::InvalidArgument);
    made = Dynptr::to(memory<std::byte>(r1), static_cast<u32>(r2));
    return 0;
}

// r1 the context, r2 flags, r3 the new dynamic pointer.
HELPER_FUNCTION(dynptr_from_xdp) {
    Dynptr& made = dynptr_at(r3) = {};
    if (r2 != 0) return returned(invocation, Errc::InvalidArgument);
    const u64 size = packet_of(*invocation).size();
    if (size > kMaxDynptrSize) return returned(invocation, Errc::TooLarge);
    made = Dynptr::to_packet(static_cast<u32>(size));
    return 0;
}

// r1 ring buffer, r2 size, r3 flags, r4 the new dynamic pointer, which is nothing after an error.
HELPER_FUNCTION(ringbuf_reserve_dynptr) {
    Dynptr& made = dynptr_at(r4) = {};
    if (r3 != 0) return returned(invocation, Errc::InvalidArgument);
    if (low(r2) > kMaxDynptrSize) return returned(invocation, Errc::TooLarge);
    void* const record = ring_reserve(map_at(r1), low(r2));
    if (record == nullptr) return returned(invocation, Errc::InvalidArgument);
    made = Dynptr::to(static_cast<std::byte*>(record), static_cast<u32>(r2));
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
    if (r5 != 0) return returned(invocation, Errc::InvalidArgument);
    const auto from = part(*invocation, dynptr_at(r3), low(r4), low(r2));
    if (!from) return returned(invocation, from.error().code);
    if (low(r2) != 0) std::memmove(memory(r1), *from, low(r2));
    return 0;
}

// r1 dynamic pointer, r2 offset, r3 memory, r4 size, r5 flags.
HELPER_FUNCTION(dynptr_write) {
    const auto to = writable_part(*invocation, dynptr_at(r1), low(r2), low(r4));
    if (!to) return returned(invocation, to.error().code);
    if (r5 != 0) return returned(invocation, Errc::InvalidArgument);
    if (low(r4) != 0) std::memmove(*to, memory(r3), low(r4));
    return 0;
}

// r1 dynamic pointer, r2 offset, r3 size: these bytes, or null. Not of the packet: the verifier
// would not know when it changes.
HELPER_FUNCTION(dynptr_data) {
    const Dynptr& of = dynptr_at(r1);
    if (of.is(Dynptr::Of::Packet)) return 0;
    return reinterpret_cast<u64>(
        writable_part(*invocation, of, low(r2), low(r3)).value_or(nullptr));
}

// r1 dynamic pointer, r2 offset, r3 a buffer, r4 its size: these bytes, or null. Packets lie in one
// piece, so that the buffer is never used.
HELPER_FUNCTION(dynptr_slice) {
    return reinterpret_cast<u64>(
        part(*invocation, dynptr_at(r1), low(r2), low(r4)).value_or(nullptr));
}

HELPER_FUNCTION(dynptr_slice_rdwr) {
    return reinterpret_cast<u64>(
        writable_part(*invocation, dynptr_at(r1), low(r2), low(r4)).value_or(nullptr));
}

// r1 dynamic pointer, r2 the first byte that stays, r3 the first after these.
HELPER_FUNCTION(dynptr_adjust) {
    Dynptr& of = dynptr_at(r1);
    const u64 begin = low(r2), end = low(r3);
    if (of.is(Dynptr::Of::Nothing) || begin > end) {
        return returned(invocation, Errc::InvalidArgument);
    }
    if (end > of.size) return returned(invocation, Errc::ArithmeticOverflow);
    of.offset = (of.offset + static_cast<u32>(begin)) & kMaxDynptrSize;
    of.size = static_cast<u32>(end - begin);
    return 0;
}

HELPER_FUNCTION(dynptr_is_null) {
    return dynptr_at(r1).is(Dynptr::Of::Nothing);
}

HELPER_FUNCTION(dynptr_is_rdonly) {
    return dynptr_at(r1).read_only;
}

HELPER_FUNCTION(dynptr_size) {
    const Dynptr& of = dynptr_at(r1);
    return of.is(Dynptr::Of::Nothing) ? low(returned(invocation, Errc::InvalidArgument)) : of.size;
}

// r1 dynamic pointer, r2 the new one.
HELPER_FUNCTION(dynptr_clone) {
    const Dynptr of = dynptr_at(r1);
    dynptr_at(r2) = of;
    return of.is(Dynptr::Of::Nothing) ? returned(invocation, Errc::InvalidArgument) : 0;
}

// r1 the one written, r2 offset there, r3 the one read, r4 offset there, r5 size. They may overlap.
HELPER_FUNCTION(dynptr_copy) {
    const auto to = writable_part(*invocation, dynptr_at(r1), low(r2), low(r5));
    if (!to) return returned(invocation, to.error().code);
    const auto from = part(*invocation, dynptr_at(r3), low(r4), low(r5));
    if (!from) return returned(invocation, from.error().code);
    if (low(r5) != 0) std::memmove(*to, *from, low(r5));
    return 0;
}

// r1 dynamic pointer, r2 offset, r3 size, r4 value.
HELPER_FUNCTION(dynptr_memset) {
    const auto to = writable_part(*invocation, dynptr_at(r1), low(r2), low(r3));
    if (!to) return returned(invocation, to.error().code);
    if (low(r3) != 0) std::memset(*to, static_cast<u8>(r4), low(r3));
    return 0;
}

constexpr HelperRow kRows[] = {
    HELPER_ROW(dynptr_from_mem),        HELPER_ROW(dynptr_from_xdp),
    HELPER_ROW(ringbuf_reserve_dynptr), HELPER_ROW(ringbuf_submit_dynptr),
    HELPER_ROW(ringbuf_discard_dynptr), HELPER_ROW(dynptr_read),
    HELPER_ROW(dynptr_write),           HELPER_ROW(dynptr_data),
    HELPER_ROW(dynptr_slice),           HELPER_ROW(dynptr_slice_rdwr),
    HELPER_ROW(dynptr_adjust),          HELPER_ROW(dynptr_is_null),
    HELPER_ROW(dynptr_is_rdonly),       HELPER_ROW(dynptr_size),
    HELPER_ROW(dynptr_clone),           HELPER_ROW(dynptr_copy),
    HELPER_ROW(dynptr_memset),
};

}  // namespace

std::span<const HelperRow> dynptr_helpers() {
    return kRows;
}

}  // namespace ebpf::runtime
