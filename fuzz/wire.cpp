// SPDX-License-Identifier: MIT
// Both directions of the wire: the input as a request that a receiver gets, and as the reply that a
// sender gets to a request of its own. The mutator knows spec/commands.def: what bytes alone would
// find only by chance, whole messages of each command with one thing wrong, it makes at once.
#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "wire/message.hpp"

namespace {

using namespace ebpf;

// An object of every kind, by handle.
Result<wire::Shape> shape_of(void*, u32 handle) {
    if (handle % 8 == 7) return fail(Errc::InvalidFd);
    return wire::Shape{.kind = handle % 5,
                       .key_size = handle % 64,
                       .value_size = handle % 1024,
                       .value_goes_in = handle % 3 == 0};
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

// What fields with addresses show to: text at its end, so that a text ends in it.
std::vector<char>& block() {
    static std::vector<char> bytes(1 << 17, 'b');
    bytes.back() = '\0';
    return bytes;
}

using Attr = std::array<std::byte, spec::kMaxAttrSize>;

// A command's attribute as the table describes it: every address there, `number` in the numbers.
Attr attr_of(const spec::CommandInfo& command, u64 number) {
    alignas(8) Attr attr{};
    for (const spec::AttrField& field : command.fields) {
        u64 value = number;
        if (field.goes_in() || field.comes_out()) {
            value =
                reinterpret_cast<u64>(block().data() + (field.is_text() ? block().size() - 40 : 0));
        } else if (field.kind == spec::AttrKind::Pad) {
            value = 0;
        }
        std::memcpy(attr.data() + field.offset, &value, std::min<std::size_t>(field.size, 8));
    }
    return attr;
}

void read(Bytes input) {
    for (const spec::CommandInfo& command : spec::commands()) {
        alignas(8) Attr attr = attr_of(command, 3);
        wire::Plan plan;
        if (!wire::plan_request(command.command, attr.data(), {nullptr, &shape_of}, plan)) continue;
        (void)wire::read_reply(plan, input, 1, attr.data());
    }
}

// Numbers that a field's kind may go wrong with.
u64 suspicious(const spec::AttrField& field, u32 choice) {
    constexpr u64 kNumbers[] = {0,          1,          7,          8,        63,        64,
                                0x7fffffff, 0x80000000, 0xffffffff, 1u << 20, 64u << 20, ~u64{0}};
    if (field.kind == spec::AttrKind::Flags) return u64{1} << choice % (8u * field.size);
    if (field.goes_in() || field.comes_out()) return choice % 2;
    return kNumbers[choice % std::size(kNumbers)];
}

// A message of a command of the table with one field, or one number of its header, as it may go
// wrong; a reply's header where `reply` is set. Empty when it is longer than `room`.
std::vector<std::byte> make_message(std::mt19937& random, std::size_t room, bool reply) {
    const auto commands = spec::commands();
    const spec::CommandInfo& command = commands[random() % commands.size()];
    alignas(8) Attr attr = attr_of(command, random() % 2 ? 3 : 1);
    wire::Plan plan;
    if (!wire::plan_request(command.command, attr.data(), {nullptr, &shape_of}, plan)) return {};
    if (plan.request_size > room) return {};
    std::vector<std::byte> message(plan.request_size);
    wire::write_request(plan, attr.data(), static_cast<spec::Dialect>(random() % 2), 1, message);
    const spec::AttrField& field = command.fields[random() % command.fields.size()];
    const u64 value = suspicious(field, static_cast<u32>(random()));
    if (random() % 4 != 0) {
        std::memcpy(message.data() + sizeof(wire::Header) + field.offset, &value,
                    std::min<std::size_t>(field.size, 8));
    }
    wire::Header header;
    std::memcpy(&header, message.data(), sizeof header);
    if (reply) header.kind = wire::Kind::Reply;
    switch (random() % 8) {
        case 0:  // a newer peer, or an older one
            header.version = static_cast<u16>(random() % 4);
            break;
        case 1:
            header.attr_size = static_cast<u32>(random() % 300);
            break;
        case 2:
            header.linux_error = static_cast<u32>(random() % 600);
            header.where = static_cast<u32>(random() % 12);
            break;
        default:
            break;
    }
    std::memcpy(message.data(), &header, sizeof header);
    return message;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    receive(bytes);
    read(bytes);
    return 0;
}

extern "C" {

// libFuzzer's own; absent in the programs that only replay a corpus.
__attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                   std::size_t room);

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t room,
                                    unsigned int seed) {
    std::mt19937 random(seed);
    if (random() % 4 == 0 || size < sizeof(wire::Header)) {
        const auto message = make_message(random, room, random() % 3 == 0);
        if (!message.empty()) {
            std::memcpy(data, message.data(), message.size());
            return message.size();
        }
    }
    return LLVMFuzzerMutate ? LLVMFuzzerMutate(data, size, room) : size;
}
}
