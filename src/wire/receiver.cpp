// SPDX-License-Identifier: MIT
#include "spec/errors.hpp"
#include "spec/info_layout.hpp"
#include "wire/layout.hpp"

namespace ebpf::wire {
namespace {

bool all_zero(Bytes bytes) {
    for (const std::byte b : bytes) {
        if (b != std::byte{0}) return false;
    }
    return true;
}

// The attribute, from a sender that may know less or more of it than we do.
Status read_attr(Bytes message, Request& request) {
    const u32 sent = request.header.attr_size;
    const u32 ours = request.plan.command->size;
    if (sent > kMaxText || message.size() < sizeof(Header) + padded(sent)) {
        return fail(Errc::BadFormat, {}, "size of the attribute", sent);
    }
    const Bytes bytes = message.subspan(sizeof(Header), sent);
    if (sent > ours && !all_zero(bytes.subspan(ours))) {
        return fail(Errc::TooLarge, at_offset(ours), "an unknown field is not zero");
    }
    std::memcpy(request.attr.data(), bytes.data(), sent < ours ? sent : ours);
    // What a sender left in an address means only whether there is one.
    for (const spec::AttrField& field : request.plan.command->fields) {
        if (!field.goes_in() && !field.comes_out()) continue;
        const u64 present = load<u64>(request.attr.data(), field.offset) != 0;
        store<u64>(request.attr.data(), field.offset, present);
    }
    return {};
}

// Addresses inside an info structure: those of arrays that are laid out become ours, every other
// one becomes zero, also half an address at the structure's end.
void bind_info(const Plan& plan, const Buffer& info, MutableBytes reply) {
    std::byte* const at = reply.data() + info.out_at;
    for (const spec::InfoArray& array : info_arrays(plan.kind)) {
        for (u32 b = array.pointer; b < info.length && b < array.pointer + 8u; ++b) {
            at[b] = std::byte{0};
        }
    }
    for (u32 i = 0; i < plan.count; ++i) {
        const Buffer& nested = plan.buffers[i];
        if (!nested.nested) continue;
        store(at, nested.pointer, reinterpret_cast<u64>(reply.data() + nested.out_at));
    }
}

// No address of ours leaves.
void unbind_info(const Plan& plan, const Buffer& info, MutableBytes reply) {
    std::byte* const at = reply.data() + info.out_at;
    for (const spec::InfoArray& array : info_arrays(plan.kind)) {
        if (u64{array.pointer} + 8 > info.length) continue;
        store<u64>(at, array.pointer, load<u64>(at, array.pointer) != 0);
    }
}

}  // namespace

Result<Header> read_header(Bytes message, Kind kind) {
    if (message.size() < kStableHeader) return fail(Errc::Truncated, {}, "message", message.size());
    Header header{};
    std::memcpy(&header, message.data(),
                message.size() < sizeof header ? message.size() : sizeof header);
    if (header.magic != kMagic) return fail(Errc::BadMagic, at_offset(0), "message", header.magic);
    if (header.version != kVersion) {
        return fail(Errc::NotSupported, at_offset(4), "version of the message", header.version);
    }
    if (message.size() < sizeof header) {
        return fail(Errc::Truncated, {}, "message", message.size());
    }
    if (header.kind != kind) return fail(Errc::BadFormat, at_offset(6), "kind of the message");
    if (header.size != message.size()) return fail(Errc::BadFormat, at_offset(8), "size");
    return header;
}

Status decode(Bytes message, const Shapes& shapes, Request& request) {
    TRY_ASSIGN(request.header, read_header(message, Kind::Request));
    request.attr = {};
    Plan& plan = request.plan;
    plan = {};
    plan.command = spec::find_command(request.header.command);
    if (plan.command == nullptr) {
        return fail(Errc::InvalidArgument, {}, "command", request.header.command);
    }
    if (request.header.dialect >= static_cast<u32>(spec::kDialectCount)) {
        return fail(Errc::BadFormat, {}, "dialect", request.header.dialect);
    }
    TRY(read_attr(message, request));
    plan.attr_size = request.header.attr_size;
    TRY(lay_out(plan, request.attr.data(), shapes, message));
    if (plan.request_size != message.size()) {
        return fail(Errc::BadFormat, {}, "size of the message", message.size());
    }
    for (const spec::AttrField& field : plan.command->fields) {
        if (field.kind != spec::AttrKind::Pad) continue;
        if (!all_zero(Bytes(request.attr).subspan(field.offset, field.size))) {
            return fail(Errc::InvalidArgument, at_offset(field.offset), field.name);
        }
    }
    request.asked = request.attr;
    return {};
}

void bind_pointers(Request& request, MutableBytes message, MutableBytes reply) {
    Plan& plan = request.plan;
    std::memset(reply.data(), 0, sizeof(Header) + padded(plan.attr_size));
    for (u32 i = 0; i < plan.count; ++i) {
        const Buffer& buffer = plan.buffers[i];
        if (buffer.out && buffer.length != 0) {
            if (buffer.in) {
                std::memcpy(reply.data() + buffer.out_at, message.data() + buffer.in_at,
                            buffer.length);
            } else {
                std::memset(reply.data() + buffer.out_at, 0, buffer.length);
            }
        }
        if (buffer.nested) continue;
        std::byte* const at =
            buffer.out ? reply.data() + buffer.out_at : message.data() + buffer.in_at;
        store(request.attr.data(), buffer.pointer, reinterpret_cast<u64>(at));
    }
    for (u32 i = 0; i < plan.count; ++i) {
        const Buffer& buffer = plan.buffers[i];
        if (buffer.info) bind_info(plan, buffer, reply);
    }
}

u32 finish(Request& request, const Result<i64>& result, MutableBytes reply) {
    const Plan& plan = request.plan;
    const bool succeeded = result.has_value();
    const std::byte* const info = info_of(plan, reply.data());
    u64 size = sizeof(Header) + padded(plan.attr_size);
    for (u32 i = 0; i < plan.count; ++i) {
        const Buffer& buffer = plan.buffers[i];
        if (!buffer.out) continue;
        u32 length =
            used_length(plan, buffer, request.asked.data(), request.attr.data(), info, succeeded);
        if (plan.command->fields[buffer.field].kind == spec::AttrKind::Log) {
            const auto* text = reinterpret_cast<const char*>(reply.data() + buffer.out_at);
            const auto* end = buffer.length == 0
                                  ? nullptr
                                  : static_cast<const char*>(std::memchr(text, 0, buffer.length));
            length = end == nullptr ? buffer.length : static_cast<u32>(end - text) + 1;
        }
        if (length != 0 && u64{buffer.out_at} + length > size) size = u64{buffer.out_at} + length;
    }
    for (u32 i = 0; i < plan.count; ++i) {
        const Buffer& buffer = plan.buffers[i];
        if (buffer.info) unbind_info(plan, buffer, reply);
    }
    std::byte* const attr = reply.data() + sizeof(Header);
    for (const spec::AttrField& field : plan.command->fields) {
        if (!field.is_written() || u64{field.offset} + field.size > plan.attr_size) continue;
        std::memcpy(attr + field.offset, request.attr.data() + field.offset, field.size);
    }
    Header header{.kind = Kind::Reply,
                  .size = static_cast<u32>(size),
                  .command = request.header.command,
                  .id = request.header.id,
                  .attr_size = plan.attr_size,
                  .dialect = request.header.dialect};
    if (succeeded) {
        header.value = *result;
    } else {
        const Error& error = result.error();
        header.value = -1;
        header.linux_error = static_cast<u32>(spec::linux_errno(error.code));
        header.result = spec::result(error.code);
        header.where = static_cast<u32>(error.where.kind);
        header.where_value = error.where.value;
    }
    store(reply.data(), 0, header);
    return static_cast<u32>(size);
}

u32 refuse(Bytes message, const Error& error, MutableBytes reply) {
    Header asked{};
    if (message.size() >= sizeof asked) asked = load<Header>(message.data(), 0);
    const bool known = asked.magic == kMagic && asked.version == kVersion;
    const Header header{.kind = Kind::Reply,
                        .size = sizeof(Header),
                        .command = known ? asked.command : 0,
                        .id = known ? asked.id : 0,
                        .value = -1,
                        .linux_error = static_cast<u32>(spec::linux_errno(error.code)),
                        .result = spec::result(error.code),
                        .where = static_cast<u32>(error.where.kind),
                        .where_value = error.where.value};
    store(reply.data(), 0, header);
    return sizeof header;
}

}  // namespace ebpf::wire
