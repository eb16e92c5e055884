// SPDX-License-Identifier: MIT
//
// The general helpers. Each is a function helper_<name> with the calling convention of compiled
// code; what a program may pass is the verifier's business (spec/helpers.def), so pointers and
// sizes hold here. What they return is the dialect's: -errno or -ebpf_result_t.
#include "runtime/helpers.hpp"

#include "platform/process.hpp"
#include "runtime/helper_call.hpp"
#include "runtime/map_value.hpp"
#include "runtime/printk.hpp"

namespace ebpf::runtime {
namespace {

// --- maps ---------------------------------------------------------------------------------------

HELPER_FUNCTION(map_lookup_elem) {
    Map& map = map_at(r1);
    return reinterpret_cast<u64>(map.ops->lookup(map, memory(r2), invocation->slot));
}

HELPER_FUNCTION(map_update_elem) {
    Map& map = map_at(r1);
    if (map.ops->update == nullptr) return returned(invocation, Errc::NotSupported);
    if ((r4 & kUpdateLock) != 0) {
        return returned(invocation,
                        update_locked(map, memory(r2), memory(r3), r4, invocation->slot));
    }
    return returned(invocation, map.ops->update(map, memory(r2), memory(r3), r4, invocation->slot));
}

HELPER_FUNCTION(map_delete_elem) {
    Map& map = map_at(r1);
    if (map.ops->remove == nullptr) return returned(invocation, Errc::NotSupported);
    return returned(invocation, map.ops->remove(map, memory(r2)));
}

HELPER_FUNCTION(tail_call) {
    if (invocation->tail_calls >= code::kMaxTailCalls) {
        return returned(invocation, Errc::NoMoreTailCalls);
    }
    const Program* next = prog_array_at(map_at(r2), r3 & 0xffffffff);
    if (next == nullptr) {
        const bool windows = program_of(*invocation).dialect == spec::Dialect::Windows;
        return returned(invocation, windows ? Errc::InvalidArgument : Errc::KeyNotFound);
    }
    ++invocation->tail_calls;
    invocation->tail_pending = next;
    return 0;
}

// --- ring buffers -------------------------------------------------------------------------------

HELPER_FUNCTION(ringbuf_output) {
    const bool windows = program_of(*invocation).dialect == spec::Dialect::Windows;
    if (windows && r3 == 0) return returned(invocation, Errc::InvalidArgument);
    const Status status = ring_output(map_at(r1), memory(r2), r3, windows ? 0 : r4);
    if (windows && !status && status.error().code == Errc::Again) {
        return returned(invocation, Errc::NoMemory);
    }
    return returned(invocation, status);
}

HELPER_FUNCTION(ringbuf_reserve) {
    return r3 == 0 ? reinterpret_cast<u64>(ring_reserve(map_at(r1), r2)) : 0;
}

HELPER_FUNCTION(ringbuf_submit) {
    ring_commit(memory(r1), r2, false);
    return 0;
}

HELPER_FUNCTION(ringbuf_discard) {
    ring_commit(memory(r1), r2, true);
    return 0;
}

HELPER_FUNCTION(ringbuf_query) {
    return ring_query(map_at(r1), r2);
}

// --- time and numbers ---------------------------------------------------------------------------

HELPER_FUNCTION(ktime_get_ns) {
    return platform::monotonic_ns();
}

HELPER_FUNCTION(ktime_get_boot_ns) {
    return platform::boot_ns();
}

HELPER_FUNCTION(ktime_get_coarse_ns) {
    return platform::monotonic_ns();
}

HELPER_FUNCTION(ktime_get_ms) {
    return platform::monotonic_ns() / 1'000'000;
}

HELPER_FUNCTION(ktime_get_boot_ms) {
    return platform::boot_ns() / 1'000'000;
}

HELPER_FUNCTION(ktime_get_tai_ns) {
    return platform::atomic_time_ns();
}

// Linux's tick is a constant of its build; ours is 4 ms, as where CONFIG_HZ is 250.
HELPER_FUNCTION(jiffies64) {
    return platform::monotonic_ns() / 4'000'000;
}

HELPER_FUNCTION(get_prandom_u32) {
    return runtime_of(*invocation).random(invocation->slot);
}

HELPER_FUNCTION(get_smp_processor_id) {
    return invocation->slot;
}

// --- checksums ----------------------------------------------------------------------------------

// Linux: one's complement sum of 32-bit words, `from` subtracted, folded to 32 bits (RFC 1071).
u64 csum_diff_linux(u64 from, u64 from_size, u64 to, u64 to_size, u64 seed) {
    u64 sum = static_cast<u32>(seed);
    const auto add = [&sum](u64 address, u64 size, u32 flip) {
        for (u64 i = 0; i + 4 <= size; i += 4) {
            u32 word;
            std::memcpy(&word, memory<const std::byte>(address) + i, 4);
            sum += word ^ flip;
            sum = (sum & 0xffffffff) + (sum >> 32);
        }
    };
    add(from, from_size, ~u32{0});
    add(to, to_size, 0);
    return (sum & 0xffffffff) + (sum >> 32);
}

// eBPF for Windows: 16-bit words, not folded; a negative sum is an error.
i64 csum_diff_windows(u64 from, u64 from_size, u64 to, u64 to_size, u64 seed) {
    i32 sum = static_cast<i32>(seed);
    const auto add = [&sum](u64 address, u64 size, u16 flip) {
        for (u64 i = 0; i + 2 <= size; i += 2) {
            u16 word;
            std::memcpy(&word, memory<const std::byte>(address) + i, 2);
            sum = static_cast<i32>(static_cast<u32>(sum) + (word ^ flip));
        }
    };
    add(to, to_size, 0);
    add(from, from_size, 0xffff);
    return sum;
}

HELPER_FUNCTION(csum_diff) {
    constexpr i64 kEinval = 22;  // C's number, in both dialects
    // Null is no bytes, whatever the size.
    const u64 from_size = r1 != 0 ? r2 & 0xffffffff : 0;
    const u64 to_size = r3 != 0 ? r4 & 0xffffffff : 0;
    if (r2 % 4 != 0 || r4 % 4 != 0) return static_cast<u64>(-kEinval);
    if (program_of(*invocation).dialect == spec::Dialect::Linux) {
        return csum_diff_linux(r1, from_size, r3, to_size, r5);
    }
    const i64 sum = csum_diff_windows(r1, from_size, r3, to_size, r5);
    return static_cast<u64>(sum < 0 ? -kEinval : sum);
}

// --- printing -----------------------------------------------------------------------------------

u64 print(Invocation* invocation, u64 format, u64 size, std::span<const u64> values) {
    char line[554];  // what eBPF for Windows keeps for one message
    const std::string_view text(memory<const char>(format), size & 0xffffffff);
    const Runtime& runtime = runtime_of(*invocation);
    const bool windows = program_of(*invocation).dialect == spec::Dialect::Windows;
    const Result<FormattedText> formatted =
        windows ? format_windows(text, values, line)
                : format_linux(text, values, runtime.format_secret(), line);
    if (!formatted) return windows ? ~u64{0} : returned(invocation, formatted.error().code);
    const Config& config = runtime.config();
    if (config.trace != nullptr) config.trace(config.trace_self, {line, formatted->written});
    return windows ? formatted->written : formatted->length;
}

HELPER_FUNCTION(trace_printk) {
    const u64 values[] = {r3, r4, r5};
    return print(invocation, r1, r2, values);
}

HELPER_FUNCTION(trace_printk2) {
    return print(invocation, r1, r2, {});
}

HELPER_FUNCTION(trace_printk3) {
    const u64 values[] = {r3};
    return print(invocation, r1, r2, values);
}

HELPER_FUNCTION(trace_printk4) {
    const u64 values[] = {r3, r4};
    return print(invocation, r1, r2, values);
}

HELPER_FUNCTION(trace_printk5) {
    const u64 values[] = {r3, r4, r5};
    return print(invocation, r1, r2, values);
}

HELPER_FUNCTION(trace_vprintk) {
    u64 values[kMaxFormatValues] = {};
    const u64 size = r4 & 0xffffffff;
    if (size % 8 != 0 || size > sizeof values || (size != 0 && r3 == 0)) {
        return returned(invocation, Errc::InvalidArgument);
    }
    if (size != 0) std::memcpy(values, memory(r3), size);
    return print(invocation, r1, r2, {values, size / 8});
}

// Every helper that helpers.def calls implemented stands here or with a hook's provider
// (tests/runtime asks for each).
constexpr HelperRow kRows[] = {
    HELPER_ROW(map_lookup_elem), HELPER_ROW(map_update_elem),      HELPER_ROW(map_delete_elem),
    HELPER_ROW(tail_call),       HELPER_ROW(ringbuf_output),       HELPER_ROW(ringbuf_reserve),
    HELPER_ROW(ringbuf_submit),  HELPER_ROW(ringbuf_discard),      HELPER_ROW(ringbuf_query),
    HELPER_ROW(ktime_get_ns),    HELPER_ROW(ktime_get_boot_ns),    HELPER_ROW(ktime_get_coarse_ns),
    HELPER_ROW(ktime_get_ms),    HELPER_ROW(ktime_get_boot_ms),    HELPER_ROW(jiffies64),
    HELPER_ROW(get_prandom_u32), HELPER_ROW(get_smp_processor_id), HELPER_ROW(ktime_get_tai_ns),
    HELPER_ROW(csum_diff),       HELPER_ROW(trace_printk),         HELPER_ROW(trace_printk2),
    HELPER_ROW(trace_printk3),   HELPER_ROW(trace_printk4),        HELPER_ROW(trace_printk5),
    HELPER_ROW(trace_vprintk),
};

}  // namespace

code::HelperFn helper_address(spec::Dialect dialect, spec::Helper helper) {
    const spec::HelperProto* proto = spec::prototype(dialect, helper);
    if (proto == nullptr || !proto->flags.implemented) return nullptr;
    const std::span<const HelperRow> groups[] = {
        kRows,          dynptr_helpers(), iterator_helpers(), map_helpers(), process_helpers(),
        text_helpers(), field_helpers()};
    for (const auto group : groups) {
        for (const HelperRow& row : group) {
            if (row.helper == helper) return row.function;
        }
    }
    return nullptr;
}

}  // namespace ebpf::runtime
