// SPDX-License-Identifier: MIT
#include "api/bpf.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "api/errors.hpp"
#include "api/prog_load.hpp"
#include "spec/command_fields.hpp"
#include "spec/map_types.hpp"

namespace ebpf::api {
namespace {

using spec::Access;
using spec::AttrField;
using spec::AttrKind;
using spec::CommandInfo;
using spec::kOwnCommands;

constexpr u32 kAttrSize = sizeof(bpf_attr);  // the part of Linux's attribute that exists here
constexpr u32 kMaxUserAttr = 4096;           // Linux refuses more than a page

// One command's attribute with handles in place of descriptors, and the way back.
class Attribute {
  public:
    Attribute(const Session& session, const CommandInfo& command)
        : session_(session), command_(command) {}

    Status read(const void* from, u32 size) {
        const auto* bytes = static_cast<const std::byte*>(from);
        const auto zero = [&](u32 begin, u32 end) {
            return std::all_of(bytes + begin, bytes + end,
                               [](std::byte b) { return b == std::byte{0}; });
        };
        if (size > kMaxUserAttr) return fail(Errc::TooLarge, {}, "size of the attribute", size);
        // Newer callers may pass more than we know, as long as they do not use it.
        if (size > kAttrSize && !zero(kAttrSize, size)) {
            return fail(Errc::TooLarge, at_offset(kAttrSize), "an unknown field is not zero");
        }
        const u32 end = std::min(size, kAttrSize);
        if (end > command_.size && !zero(command_.size, end)) {
            return fail(Errc::InvalidArgument, at_offset(command_.size),
                        "a field that the command lacks");
        }
        std::memcpy(bytes_.data(), from, std::min<u32>(size, command_.size));
        for (size_t i = 0; i < command_.fields.size(); ++i) TRY(read_field(command_.fields[i], i));
        return {};
    }

    // Results only: descriptors and pointers stay the caller's.
    void write_back(void* to, u32 size) const {
        for (const AttrField& field : command_.fields) {
            if (field.kind != AttrKind::Result && field.kind != AttrKind::InResult) continue;
            if (u32{field.offset} + field.size > size) continue;
            std::memcpy(static_cast<std::byte*>(to) + field.offset, bytes_.data() + field.offset,
                        field.size);
        }
    }

    void* data() { return bytes_.data(); }
    template <typename T>
    T& as() {
        return *reinterpret_cast<T*>(bytes_.data());
    }

  private:
    Status read_field(const AttrField& field, size_t number) {
        std::byte* const at = bytes_.data() + field.offset;
        if (field.kind == AttrKind::Pad) {
            if (std::any_of(at, at + field.size, [](std::byte b) { return b != std::byte{0}; })) {
                return fail(Errc::InvalidArgument, at_argument(number), field.name);
            }
        } else if (field.kind == AttrKind::Fd) {
            i32 descriptor = 0;
            std::memcpy(&descriptor, at, sizeof descriptor);
            TRY_ASSIGN(const u32 handle, handle_of(descriptor));
            std::memcpy(at, &handle, sizeof handle);
        }
        return {};
    }

    // Where a descriptor is optional, 0 and negative numbers mean none; the command refuses the
    // handle 0 where it needs one. A program that really has our object at descriptor 0 gets it.
    Result<u32> handle_of(i32 descriptor) const {
        if (descriptor < 0) return 0;
        const auto handle = session_.descriptors->handle(descriptor);
        if (!handle && descriptor == 0) return 0;
        return handle;
    }

    const Session& session_;
    const CommandInfo& command_;
    alignas(8) std::array<std::byte, spec::kMaxAttrSize> bytes_{};
};

// The value of a map of programs or maps is a descriptor going in. `info` is what the map is.
Status translate_value(const Session& session, spec::MapUpdateElemAttr& attr, u32& handle) {
    bpf_map_info info{};
    spec::ObjGetInfoByFdAttr ask{
        .bpf_fd = attr.map_fd, .info_len = sizeof info, .info = address(&info)};
    TRY(session.door(session.caller, spec::Command::ObjGetInfoByFd, &ask));
    const auto type = spec::map_type_from_number(session.caller.dialect, info.type);
    if (!type || !spec::info(*type).holds_handles()) return {};
    if (!attr.value) return fail(Errc::InvalidPointer, {}, "value");
    i32 descriptor = 0;
    std::memcpy(&descriptor, reinterpret_cast<const void*>(attr.value), sizeof descriptor);
    TRY_ASSIGN(handle, session.descriptors->handle(descriptor));
    attr.value = address(&handle);
    return {};
}

Result<i64> carry_out(Session& session, const CommandInfo& command, Attribute& attribute) {
    if (command.command == spec::Command::ProgLoad) {
        return prog_load(session, attribute.as<spec::ProgLoadAttr>());
    }
    u32 value_handle = 0;
    if (command.command == spec::Command::MapUpdateElem) {
        TRY(translate_value(session, attribute.as<spec::MapUpdateElemAttr>(), value_handle));
    }
    return session.door(session.caller, command.command, attribute.data());
}

}  // namespace

Result<int> bpf(Session& session, u32 number, void* attr, u32 size) {
    const CommandInfo* command = spec::find_command(number);
    if (!command) return fail(Errc::InvalidArgument, {}, "command", number);
    if (command->access == Access::Privileged) return fail(Errc::AccessDenied, {}, command->name);
    if (!attr && size) return fail(Errc::InvalidPointer, {}, "attribute");

    Attribute attribute(session, *command);
    TRY(attribute.read(attr, size));
    const auto result = carry_out(session, *command, attribute);
    attribute.write_back(attr, size);  // also on failure: the log's true size, a batch's count
    if (!result) return std::unexpected(result.error());
    if (*result <= 0 || number >= kOwnCommands) return static_cast<int>(*result);

    session.descriptors->sweep();
    const auto descriptor = session.descriptors->publish(static_cast<u32>(*result));
    if (!descriptor) {
        spec::HandleCloseAttr close{.fd = static_cast<u32>(*result)};
        (void)session.door(session.caller, spec::Command::HandleClose, &close);
    }
    return descriptor;
}

void sweep_descriptors() {
    if (Session* const here = session()) here->descriptors->sweep();
}

void close_descriptor(int descriptor) {
    if (Session* const here = session()) here->descriptors->close(descriptor);
}

}  // namespace ebpf::api

extern "C" int ebpf_bpf(int command, union bpf_attr* attr, unsigned int size) {
    using namespace ebpf;
    api::Session* const session = api::session();
    const auto result = session ? api::bpf(*session, static_cast<u32>(command), attr, size)
                                : Result<int>(fail(Errc::NoMemory, {}, "execution context"));
    if (result) return *result;
    errno = api::errno_of(result.error());
    return -1;
}
