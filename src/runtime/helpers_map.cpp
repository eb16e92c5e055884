// SPDX-License-Identifier: MIT
//
// Helpers on maps beside lookup, update and delete, and those that call back. A callback is a
// function of the program, called as its engine wants (code::call_function); when it ends early the
// invocation's fault says so, and the helper returns at once.
#include "runtime/dynptr.hpp"
#include "runtime/helper_call.hpp"
#include "spec/perf_record.hpp"
#include "spec/program_types.hpp"

namespace ebpf::runtime {
namespace {

constexpr u64 kMaxLoops = 1 << 23;  // Linux: BPF_MAX_LOOPS

HELPER_FUNCTION(map_push_elem) {
    Map& map = map_at(r1);
    if (map.ops->write == nullptr) return returned(invocation, Errc::NotSupported);
    return returned(invocation, map.ops->write(map, nullptr, memory(r2), r3));
}

HELPER_FUNCTION(map_pop_elem) {
    Map& map = map_at(r1);
    if (map.ops->take == nullptr) return returned(invocation, Errc::NotSupported);
    return returned(invocation, map.ops->take(map, nullptr, memory(r2)));
}

HELPER_FUNCTION(map_peek_elem) {
    Map& map = map_at(r1);
    if (map.ops->read == nullptr) return returned(invocation, Errc::NotSupported);
    return returned(invocation, map.ops->read(map, nullptr, memory(r2)));
}

HELPER_FUNCTION(map_lookup_percpu_elem) {
    Map& map = map_at(r1);
    const u64 slot = r3 & 0xffffffff;
    if (slot >= map.slots) return 0;
    return reinterpret_cast<u64>(map.ops->lookup(map, memory(r2), static_cast<u32>(slot)));
}

HELPER_FUNCTION(map_lookup_and_delete_elem) {
    Map& map = map_at(r1);
    if (map.ops->detach == nullptr) return 0;
    return reinterpret_cast<u64>(map.ops->detach(map, memory(r2), invocation->slot));
}

HELPER_FUNCTION(loop) {
    const u64 count = r1 & 0xffffffff;
    if (r4 != 0) return returned(invocation, Errc::InvalidArgument);
    if (count > kMaxLoops) return returned(invocation, Errc::TooLarge);
    for (u64 i = 0; i < count; ++i) {
        const u64 args[5] = {i, r3};
        const u64 stop = code::call_function(invocation, r2, args);
        if (stop != 0 || invocation->fault != 0) return i + 1;
    }
    return count;
}

HELPER_FUNCTION(for_each_map_elem) {
    struct Walk {
        Invocation* invocation;
        u64 map, function, context;
        static bool visit(void* self, const void* key, void* value) {
            const auto& walk = *static_cast<Walk*>(self);
            const u64 args[5] = {walk.map, reinterpret_cast<u64>(key), reinterpret_cast<u64>(value),
                                 walk.context};
            const u64 stop = code::call_function(walk.invocation, walk.function, args);
            return stop == 0 && walk.invocation->fault == 0;
        }
    };
    Map& map = map_at(r1);
    if (r4 != 0) return returned(invocation, Errc::InvalidArgument);
    if (map.ops->for_each == nullptr) return returned(invocation, Errc::InvalidArgument);
    Walk walk{invocation, r1, r2, r3};
    return map.ops->for_each(map, invocation->slot, {&walk, &Walk::visit});
}

// r1 user ring buffer, r2 function, r3 context, r4 flags. Each record is lent to the function as a
// dynamic pointer, by its address, until it returns.
HELPER_FUNCTION(user_ringbuf_drain) {
    struct Drain {
        Invocation* invocation;
        u64 function, context;
        static bool take(void* self, std::byte* data, u32 size) {
            const auto& drain = *static_cast<Drain*>(self);
            Dynptr record = Dynptr::to(data, size);
            const u64 args[5] = {reinterpret_cast<u64>(&record), drain.context};
            const u64 stop = code::call_function(drain.invocation, drain.function, args);
            return stop == 0 && drain.invocation->fault == 0;
        }
    };
    Drain drain{invocation, r2, r3};
    const Result<u64> drained = user_ring_drain(map_at(r1), r4, {&drain, &Drain::take});
    return drained ? *drained : returned(invocation, drained.error().code);
}

// The packet that a context is about, by the fields that say where it begins and ends.
struct Packet {
    bool exists = false;
    Bytes bytes;
};

Packet packet_of(const Program& program, const void* context) {
    const spec::ProgramTypeInfo* type = spec::program_info(program.dialect, program.type);
    const std::byte* ends[2] = {};
    if (type == nullptr) return {};
    for (const spec::ContextField& field : type->context.fields) {
        const bool start = field.kind == spec::FieldKind::PacketStart;
        if (!start && field.kind != spec::FieldKind::PacketEnd) continue;
        std::memcpy(&ends[start ? 0 : 1],
                    static_cast<const std::byte*>(context) + field.native_offset,
                    sizeof(const std::byte*));
    }
    if (ends[0] == nullptr || ends[1] < ends[0]) return {};
    return {true, {ends[0], static_cast<std::size_t>(ends[1] - ends[0])}};
}

HELPER_FUNCTION(perf_event_output) {
    const Packet packet = packet_of(program_of(*invocation), memory(r1));
    const u64 known = spec::perf::kIndexMask | (packet.exists ? spec::perf::kContextMask : 0);
    if ((r3 & ~known) != 0) return returned(invocation, Errc::InvalidArgument);
    const u64 of_packet = (r3 & spec::perf::kContextMask) >> spec::perf::kContextShift;
    if (of_packet > packet.bytes.size()) return returned(invocation, Errc::InvalidPointer);
    const Bytes data(memory<const std::byte>(r4), r5);
    return returned(invocation, perf_output(map_at(r2), invocation->slot, r3, data,
                                            packet.bytes.first(of_packet)));
}

constexpr HelperRow kRows[] = {
    HELPER_ROW(map_push_elem),
    HELPER_ROW(map_pop_elem),
    HELPER_ROW(map_peek_elem),
    HELPER_ROW(map_lookup_percpu_elem),
    HELPER_ROW(map_lookup_and_delete_elem),
    HELPER_ROW(perf_event_output),
    HELPER_ROW(loop),
    HELPER_ROW(for_each_map_elem),
    HELPER_ROW(user_ringbuf_drain),
};

}  // namespace

std::span<const HelperRow> map_helpers() {
    return kRows;
}

}  // namespace ebpf::runtime
