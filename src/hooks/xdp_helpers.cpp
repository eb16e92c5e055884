// SPDX-License-Identifier: MIT
#include "hooks/xdp_helpers.hpp"

#include <cstring>

#include "hooks/xdp.hpp"
#include "platform/memory.hpp"
#include "spec/errors.hpp"
#include "spec/ids.hpp"

namespace ebpf::hooks {
namespace {

using spec::Helper;

constexpr u32 kEthernetHeader = 14;
constexpr u64 kMaxMetadata = 32;

XdpFrame& frame_of(u64 context) {
    return *reinterpret_cast<XdpFrame*>(context);
}

u64 returns(const XdpFrame& frame, Errc code) {
    return static_cast<u64>(spec::helper_return(frame.dialect, code));
}

// Deltas come in 32 bits; distances within the buffer are far below, so that nothing overflows
// here.
i64 delta_of(u64 r2) {
    return static_cast<i32>(static_cast<u32>(r2));
}

u64 metadata_size(const XdpFrame& frame) {
    return reinterpret_cast<u64>(frame.context.data) - frame.context.data_meta;
}

// r1 context, r2 delta: the packet's start moves, its metadata with it.
u64 adjust_head(u64 r1, u64 r2, u64, u64, u64, void*) {
    XdpFrame& frame = frame_of(r1);
    spec::XdpContext& context = frame.context;
    const i64 delta = delta_of(r2);
    const i64 room = context.data - frame.buffer - static_cast<i64>(metadata_size(frame));
    const i64 size = context.data_end - context.data;
    if (delta < -room || delta > size - kEthernetHeader)
        return returns(frame, Errc::InvalidArgument);
    u8* const metadata = reinterpret_cast<u8*>(context.data_meta);
    std::memmove(metadata + delta, metadata, metadata_size(frame));
    context.data += delta;
    context.data_meta = reinterpret_cast<u64>(metadata + delta);
    return 0;
}

// r1 context, r2 delta: the start of the metadata before the packet moves.
u64 adjust_meta(u64 r1, u64 r2, u64, u64, u64, void*) {
    XdpFrame& frame = frame_of(r1);
    const i64 size = static_cast<i64>(metadata_size(frame)) - delta_of(r2);
    if (size < 0 || size > frame.context.data - frame.buffer)
        return returns(frame, Errc::InvalidArgument);
    // Linux: -EACCES for a size that it would not keep.
    if ((size & 3) != 0 || size > static_cast<i64>(kMaxMetadata)) {
        return returns(frame, Errc::VerificationFailed);
    }
    frame.context.data_meta = reinterpret_cast<u64>(frame.context.data) - static_cast<u64>(size);
    return 0;
}

// r1 context, r2 delta: the packet's end moves; new bytes are zero.
u64 adjust_tail(u64 r1, u64 r2, u64, u64, u64, void*) {
    XdpFrame& frame = frame_of(r1);
    spec::XdpContext& context = frame.context;
    const i64 delta = delta_of(r2);
    const i64 room = frame.buffer_end - context.data_end - static_cast<i64>(kXdpTailroom);
    const i64 size = context.data_end - context.data;
    if (delta > room || size + delta < kEthernetHeader)
        return returns(frame, Errc::InvalidArgument);
    if (delta > 0) std::memset(context.data_end, 0, static_cast<size_t>(delta));
    context.data_end += delta;
    return 0;
}

u64 get_buff_len(u64 r1, u64, u64, u64, u64, void*) {
    return frame_of(r1).size();
}

// r1 context, r2 offset, r3 the other memory, r4 its size: whether these bytes are in the packet.
// Linux's order: numbers that no packet has are -EFAULT, those outside of this one -EINVAL.
Errc check_part(const XdpFrame& frame, u64 offset, u64 size) {
    const u32 from = static_cast<u32>(offset), bytes = static_cast<u32>(size);
    if (from > kXdpMaxFrame || bytes > kXdpMaxFrame) return Errc::InvalidPointer;
    return from + bytes <= frame.size() ? Errc::Ok : Errc::InvalidArgument;
}

u64 load_bytes(u64 r1, u64 r2, u64 r3, u64 r4, u64, void*) {
    const XdpFrame& frame = frame_of(r1);
    if (const Errc errc = check_part(frame, r2, r4); errc != Errc::Ok) return returns(frame, errc);
    std::memcpy(reinterpret_cast<void*>(r3), frame.context.data + static_cast<u32>(r2),
                static_cast<u32>(r4));
    return 0;
}

u64 store_bytes(u64 r1, u64 r2, u64 r3, u64 r4, u64, void*) {
    XdpFrame& frame = frame_of(r1);
    if (const Errc errc = check_part(frame, r2, r4); errc != Errc::Ok) return returns(frame, errc);
    std::memmove(frame.context.data + static_cast<u32>(r2), reinterpret_cast<const void*>(r3),
                 static_cast<u32>(r4));
    return 0;
}

// r1 interface, r2 flags, of which there are none: the verdict that sends the frame there.
u64 redirect(u64 r1, u64 r2, u64, u64, u64, void* invocation) {
    if (r2 != 0) return static_cast<u64>(XdpVerdict::Aborted);
    auto& running = *static_cast<ebpf_invocation_t*>(invocation);
    static_cast<XdpFrame*>(running.context)->redirect_ifindex = static_cast<u32>(r1);
    return static_cast<u64>(XdpVerdict::Redirect);
}

constexpr ebpf_extension_helper_t helper(Helper id, ebpf_helper_fn function) {
    return {static_cast<u32>(id), function};
}

constexpr ebpf_extension_helper_t kHelpers[] = {
    helper(Helper::xdp_adjust_head, &adjust_head), helper(Helper::xdp_adjust_meta, &adjust_meta),
    helper(Helper::xdp_adjust_tail, &adjust_tail), helper(Helper::xdp_get_buff_len, &get_buff_len),
    helper(Helper::xdp_load_bytes, &load_bytes),   helper(Helper::xdp_store_bytes, &store_bytes),
    helper(Helper::redirect, &redirect),
};

// --- Test runs -----------------------------------------------------------------------------------

// One allocation: the frame's description, then its buffer.
struct TestFrame {
    XdpFrame frame;
    u64 memory_size;
    u32 ifindex;
    u32 queue;
    u8* memory() { return reinterpret_cast<u8*>(this + 1); }
};

constexpr uint32_t code(Errc errc) {
    return static_cast<uint32_t>(errc);
}

}  // namespace

std::span<const ebpf_extension_helper_t> xdp_helpers() {
    return kHelpers;
}

uint32_t create_xdp_context(void*, const ebpf_test_run_t* run, void** context) {
    // Linux's rules: at least an Ethernet header; of the context, only where the packet came from.
    if (run->data_size_in < kEthernetHeader || run->data_size_in > kXdpMaxFrame) {
        return code(Errc::InvalidArgument);
    }
    spec::linux_abi::XdpMd given{};
    if (run->context_in) {
        if (run->context_size_in > sizeof given) return code(Errc::InvalidArgument);
        std::memcpy(&given, run->context_in, run->context_size_in);
        if (given.data != 0 || given.data_meta != 0 || given.egress_ifindex != 0 ||
            (given.data_end != 0 && given.data_end != run->data_size_in)) {
            return code(Errc::InvalidArgument);
        }
    }
    const u64 memory_size = kXdpHeadroom + run->data_size_in + kXdpTailroom;
    auto* const test = static_cast<TestFrame*>(platform::allocate(sizeof(TestFrame) + memory_size));
    if (!test) return code(Errc::NoMemory);
    test->memory_size = memory_size;
    test->ifindex = given.ingress_ifindex ? given.ingress_ifindex : 1;
    test->queue = given.rx_queue_index;
    *context = &test->frame;
    reset_xdp_context(nullptr, run, &test->frame);
    return code(Errc::Ok);
}

void reset_xdp_context(void*, const ebpf_test_run_t* run, void* context) {
    auto* const test = static_cast<TestFrame*>(context);
    std::memcpy(test->memory() + kXdpHeadroom, run->data_in, run->data_size_in);
    test->frame.reset(test->memory(), test->memory_size, static_cast<u32>(run->data_size_in),
                      test->ifindex);
    test->frame.context.rx_queue_index = test->queue;
}

uint32_t destroy_xdp_context(void*, ebpf_test_run_t* run, void* context) {
    auto* const test = static_cast<TestFrame*>(context);
    const XdpFrame& frame = test->frame;
    const size_t room = run->data_size_out;
    uint32_t status = code(Errc::Ok);
    run->data_size_out = frame.size();
    if (run->data_out) {
        const size_t fits = room < frame.size() ? room : frame.size();
        std::memcpy(run->data_out, frame.context.data, fits);
        if (fits < frame.size()) status = code(Errc::OutOfSpace);
    }
    if (run->context_out) {
        spec::linux_abi::XdpMd out{};
        out.data_end = frame.size();
        out.ingress_ifindex = frame.context.ingress_ifindex;
        out.rx_queue_index = frame.context.rx_queue_index;
        const size_t fits = run->context_size_out < sizeof out ? run->context_size_out : sizeof out;
        std::memcpy(run->context_out, &out, fits);
        run->context_size_out = fits;
    }
    platform::release(test);
    return status;
}

}  // namespace ebpf::hooks
