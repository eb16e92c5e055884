// SPDX-License-Identifier: MIT
#include "api/bpf.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "api/errors.hpp"
#include "api/prog_load.hpp"
#include "isa/codec.hpp"
#include "spec/command_fields.hpp"
#include "wire/translate.hpp"

namespace ebpf::api {
namespace {

using spec::Access;
using spec::AttrField;
using spec::AttrKind;
using spec::CommandInfo;
using spec::kOwnCommands;

constexpr u32 kAttrSize = sizeof(bpf_attr);  // the part of Linux's attribute that exists here
constexpr u32 kMaxUserAttr = 4096;           // Linux refuses more than a page

// One command's attribute, and the way back.
class Attribute {
  public:
    explicit Attribute(const CommandInfo& command) : command_(command) {}

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
        for (size_t i = 0; i < command_.fields.size(); ++i) TRY(check_field(command_.fields[i], i));
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
    Status check_field(const AttrField& field, size_t number) {
        const std::byte* const at = bytes_.data() + field.offset;
        if (field.kind == AttrKind::Pad) {
            if (std::any_of(at, at + field.size, [](std::byte b) { return b != std::byte{0}; })) {
                return fail(Errc::InvalidArgument, at_argument(number), field.name);
            }
        }
        return {};
    }

    const CommandInfo& command_;
    alignas(8) std::array<std::byte, spec::kMaxAttrSize> bytes_{};
};

// The descriptors that this process has, for wire/.
wire::Descriptors descriptors_of(const Session& session) {
    const auto handle_of = [](void* self, i32 descriptor) {
        return static_cast<const Descriptors*>(self)->handle(descriptor);
    };
    return {session.descriptors, handle_of};
}

// The values that are descriptors, as handles; `one` is the place for one.
Status translate_values(const Session& session, const CommandInfo& command, void* attr, u32& one,
                        std::unique_ptr<u32[]>& many) {
    if (!wire::may_have_handles(command)) return {};
    wire::Shape shape{.fd = wire::map_handle(command, attr)};
    if (!session.door(session.caller, spec::Command::HandleShape, &shape)) return {};
    const u64 count = wire::values_with_handles(command, attr, shape);
    if (count > wire::kMaxMessage / sizeof(u32)) return fail(Errc::TooLarge, {}, "count", count);
    if (count > 1) {
        many.reset(new (std::nothrow) u32[count]);
        if (!many) return fail(Errc::NoMemory, {}, "values", count);
    }
    wire::translate_values(command, attr, {many ? many.get() : &one, count},
                           descriptors_of(session));
    return {};
}

// PROG_LOAD where the compiling service is behind the door too: handles go there in place of the
// application's descriptors.
Result<i64> load_elsewhere(Session& session, const CommandInfo& command,
                           spec::ProgLoadAttr& asked) {
    spec::ProgLoadAttr attr = asked;
    if (attr.insn_cnt > isa::kMaxSlots) return fail(Errc::TooLarge, {}, "insn_cnt", attr.insn_cnt);
    wire::translate_fields(command, &attr, descriptors_of(session));
    std::vector<std::byte> slots;
    std::vector<i32> fds;
    if (attr.insns) {
        const auto* from = reinterpret_cast<const std::byte*>(attr.insns);
        slots.assign(from, from + size_t{attr.insn_cnt} * sizeof(isa::Slot));
        attr.insns = address(slots.data());
    }
    if (attr.fd_array) {
        fds.resize(wire::fd_array_used(slots));
        if (!fds.empty()) {
            std::memcpy(fds.data(), reinterpret_cast<const void*>(attr.fd_array),
                        fds.size() * sizeof(i32));
        }
        attr.fd_array = address(fds.data());
    }
    TRY(wire::translate_instructions(slots, fds, descriptors_of(session)));
    const auto loaded = session.door(session.caller, spec::Command::ProgLoad, &attr);
    asked.log_true_size = attr.log_true_size;
    return loaded;
}

Result<i64> carry_out(Session& session, const CommandInfo& command, Attribute& attribute) {
    if (command.command == spec::Command::ProgLoad) {
        auto& attr = attribute.as<spec::ProgLoadAttr>();
        return session.service ? prog_load(session, attr) : load_elsewhere(session, command, attr);
    }
    wire::translate_fields(command, attribute.data(), descriptors_of(session));
    u32 one = 0;
    std::unique_ptr<u32[]> many;
    TRY(translate_values(session, command, attribute.data(), one, many));
    return session.door(session.caller, command.command, attribute.data());
}

}  // namespace

Result<int> bpf(Session& session, u32 number, void* attr, u32 size) {
    const CommandInfo* command = spec::find_command(number);
    if (!command) return fail(Errc::InvalidArgument, {}, "command", number);
    if (command->access == Access::Privileged) return fail(Errc::AccessDenied, {}, command->name);
    if (!attr && size) return fail(Errc::InvalidPointer, {}, "attribute");

    Attribute attribute(*command);
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
