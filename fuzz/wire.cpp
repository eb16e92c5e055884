// SPDX-License-Identifier: MIT
// Both directions of the wire: the input as a request that a receiver gets, and as the reply that a
// sender gets to a request of its own.
#include <cstring>
#include <vector>

#include "wire/message.hpp"

namespace {

using namespace ebpf;

// An object of every kind, by handle.
Result<wire::Shape> shape_of(void*, u32 handle) {
    if (handle % 8 == 7) return fail(Errc::InvalidFd);
    return wire::Shape{.kind = handle % 5, .key_size = handle % 64, .value_size = handle % 1024};
}

void receive(Bytes input) {
    std::vector<std::byte> message(input.begin(), input.end());
    wire::Request request;
    std::vector<std::byte> reply(sizeof(wire::Header));
    if (const auto decoded = wire::decode(message, {nullptr, &shape_of}, request); !decoded) {
        wire::refuse(message, decoded.error(), reply);
        return;
    }
    if (request.plan.reply_size > (1u << 20)) return;
    reply.resize(request.plan.reply_size);
    wire::bind_pointers(request, message, reply);
    // What a door would look at and write.
    u64 sum = 0;
    for (u32 i = 0; i < request.plan.count; ++i) {
        const wire::Buffer& buffer = request.plan.buffers[i];
        if (buffer.nested) continue;
        u64 address = 0;
        std::memcpy(&address, request.attr.data() + buffer.pointer, sizeof address);
        auto* bytes = reinterpret_cast<unsigned char*>(address);
        for (u32 at = 0; at < buffer.length; ++at) {
            sum += bytes[at];
            if (buffer.out) bytes[at] = static_cast<unsigned char>(sum);
        }
    }
    if (wire::finish(request, static_cast<i64>(sum % 2), reply) > reply.size()) __builtin_trap();
}

void read(Bytes input) {
    u32 key = 0;
    std::vector<char> value(1024), log(256);
    const u64 slots[2] = {};
    const auto address = [](const void* at) { return reinterpret_cast<u64>(at); };
    wire::Plan plan;
    spec::MapLookupElemAttr lookup{
        .map_fd = 4, .key = address(&key), .value = address(value.data())};
    if (wire::plan_request(spec::Command::MapLookupElem, &lookup, {nullptr, &shape_of}, plan)) {
        (void)wire::read_reply(plan, input, 1, &lookup);
    }
    spec::ProgLoadAttr load{.insn_cnt = 2,
                            .insns = address(slots),
                            .license = address("GPL"),
                            .log_size = 256,
                            .log_buf = address(log.data())};
    if (wire::plan_request(spec::Command::ProgLoad, &load, {nullptr, &shape_of}, plan)) {
        (void)wire::read_reply(plan, input, 1, &load);
    }
    std::vector<char> info(256);
    spec::ObjGetInfoByFdAttr ask{.bpf_fd = 3, .info_len = 256, .info = address(info.data())};
    if (wire::plan_request(spec::Command::ObjGetInfoByFd, &ask, {nullptr, &shape_of}, plan)) {
        (void)wire::read_reply(plan, input, 1, &ask);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    receive(bytes);
    read(bytes);
    return 0;
}
