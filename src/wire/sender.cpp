// SPDX-License-Identifier: MIT
#include "spec/errors.hpp"
#include "wire/layout.hpp"

namespace ebpf::wire {

Status plan_request(spec::Command command, void* attr, const Shapes& shapes, Plan& plan) {
    plan = {};
    plan.command = spec::find_command(static_cast<u32>(command));
    if (plan.command == nullptr) {
        return fail(Errc::InvalidArgument, {}, "command", static_cast<u32>(command));
    }
    plan.attr_size = plan.command->size;
    return lay_out(plan, attr, shapes, {});
}

void write_request(const Plan& plan, const void* attr, spec::Dialect dialect, u64 id,
                   MutableBytes message) {
    std::memset(message.data(), 0, message.size());
    const Header header{.kind = Kind::Request,
                        .size = plan.request_size,
                        .command = static_cast<u32>(plan.command->command),
                        .id = id,
                        .attr_size = plan.attr_size,
                        .dialect = static_cast<u32>(dialect)};
    store(message.data(), 0, header);
    std::byte* const sent = message.data() + sizeof header;
    std::memcpy(sent, attr, plan.attr_size);
    for (const spec::AttrField& field : plan.command->fields) {
        if (!field.goes_in() && !field.comes_out()) continue;
        store<u64>(sent, field.offset, load<u64>(attr, field.offset) != 0);
    }
    for (u32 i = 0; i < plan.count; ++i) {
        const Buffer& buffer = plan.buffers[i];
        if (!buffer.in || buffer.length == 0) continue;
        const auto* from = reinterpret_cast<const void*>(load<u64>(attr, buffer.pointer));
        std::memcpy(message.data() + buffer.in_at, from, buffer.length);
    }
    // The info structure's own pointers are addresses of this process: the peer need not know them.
    for (u32 i = 0; i < plan.count; ++i) {
        const Buffer& buffer = plan.buffers[i];
        if (!buffer.nested) continue;
        for (u32 k = 0; k < i; ++k) {
            const Buffer& info = plan.buffers[k];
            if (info.info && info.field == buffer.field) {
                store<u64>(message.data(), info.in_at + buffer.pointer, 1);
            }
        }
    }
}

namespace {

// Copies what came back for `info`'s structure but for the addresses in it, which stay the
// caller's where the peer says that the array was filled.
void copy_info(const Plan& plan, const std::byte* from, u32 length, void* to) {
    std::array<u64, Plan::kMaxBuffers> addresses{};
    for (u32 i = 0; i < plan.count; ++i) {
        if (plan.buffers[i].nested) addresses[i] = load<u64>(to, plan.buffers[i].pointer);
    }
    std::memcpy(to, from, length);
    for (const spec::InfoArray& array : info_arrays(plan.kind)) {
        if (u32{array.pointer} + 8 > length) continue;
        const bool filled = load<u64>(to, array.pointer) != 0;
        store<u64>(to, array.pointer, 0);
        for (u32 i = 0; filled && i < plan.count; ++i) {
            if (!plan.buffers[i].nested || plan.buffers[i].pointer != array.pointer) continue;
            store(to, array.pointer, addresses[i]);
        }
    }
}

// Where a buffer's content goes in this process; for a nested one the info structure was not
// overwritten yet.
std::byte* target_of(const Plan& plan, const Buffer& buffer, const void* attr) {
    if (!buffer.nested) return reinterpret_cast<std::byte*>(load<u64>(attr, buffer.pointer));
    const spec::AttrField& field = plan.command->fields[buffer.field];
    const auto* info = reinterpret_cast<const std::byte*>(load<u64>(attr, field.offset));
    return reinterpret_cast<std::byte*>(load<u64>(info, buffer.pointer));
}

// Where the peer says that the error is; not what it may say that we do not know.
Where place_of(const Header& header) {
    if (header.where > static_cast<u32>(Where::Kind::Line)) return {};
    return {static_cast<Where::Kind>(header.where), Where::kNoSection, header.where_value};
}

}  // namespace

Result<i64> read_reply(const Plan& plan, Bytes reply, u64 id, void* attr) {
    TRY_ASSIGN(const Header header, read_header(reply, Kind::Reply));
    if (header.id != id) return fail(Errc::BadFormat, {}, "reply to another request", header.id);
    const u64 body = sizeof(Header) + padded(plan.attr_size);
    if (header.linux_error != 0 && reply.size() < body) {  // refused before it was understood
        return fail(error_of(header.linux_error, header.result), place_of(header), nullptr);
    }
    if (header.attr_size != plan.attr_size || reply.size() < body ||
        reply.size() > plan.reply_size) {
        return fail(Errc::BadFormat, {}, "size of the reply", reply.size());
    }
    const std::byte* const after = reply.data() + sizeof(Header);
    const bool succeeded = header.linux_error == 0;
    const std::byte* info = info_of(plan, reply.data());
    for (u32 i = plan.count; i-- > 0;) {  // nested ones first: the info structure is still ours
        const Buffer& buffer = plan.buffers[i];
        // A nested buffer lies behind its info structure: where it begins that one is whole.
        if (!buffer.out || buffer.out_at > reply.size()) continue;
        const auto there = static_cast<u32>(reply.size() - buffer.out_at);
        const bool log = plan.command->fields[buffer.field].kind == spec::AttrKind::Log;
        u32 length = log ? buffer.length : used_length(plan, buffer, attr, after, info, succeeded);
        if (length > there) length = there;
        std::byte* const to = target_of(plan, buffer, attr);
        if (buffer.info) {
            copy_info(plan, reply.data() + buffer.out_at, length, to);
        } else if (length != 0) {
            std::memcpy(to, reply.data() + buffer.out_at, length);
        }
    }
    for (const spec::AttrField& field : plan.command->fields) {
        if (!field.is_written()) continue;
        std::memcpy(static_cast<std::byte*>(attr) + field.offset, after + field.offset, field.size);
    }
    if (succeeded) return header.value;
    return fail(error_of(header.linux_error, header.result), place_of(header));
}

Errc error_of(u32 linux_error, u32 result) {
    constexpr u32 kLast = 0
#define ERROR(...) +1
#include "base/errors.def"
        ;
    Errc same_errno = Errc::Failed;
    for (u32 i = kLast; i-- > 1;) {
        const auto code = static_cast<Errc>(i);
        if (static_cast<u32>(spec::linux_errno(code)) != linux_error) continue;
        if (spec::result(code) == result) return code;
        same_errno = code;
    }
    return same_errno;
}

}  // namespace ebpf::wire
