// SPDX-License-Identifier: MIT
#include "api/command_fields.hpp"

#include <array>
#include <cstddef>

namespace ebpf::api {
namespace {

using spec::ObjectName;

// A row's fields in order; offsets follow from sizes and alignments as in the structure itself,
// which the assertions at the end check.
template <size_t N>
consteval std::array<Field, N> place(std::array<Field, N> fields,
                                     const std::array<u16, N>& alignment) {
    u16 offset = 0;
    for (size_t i = 0; i < N; ++i) {
        const u16 align = alignment[i];
        offset = static_cast<u16>((offset + align - 1) / align * align);
        fields[i].offset = offset;
        offset = static_cast<u16>(offset + fields[i].size);
    }
    return fields;
}

#define COMMAND(id, number, name, access) constexpr auto k##id##Raw = std::to_array<Field>({
#define FIELD(type, name, kind, ...) {#name, 0, sizeof(type), FieldKind::kind},
#define END_COMMAND(id) \
    });
#include "spec/commands.def"

#define COMMAND(id, number, name, access) \
    constexpr std::array<u16, k##id##Raw.size()> k##id##Alignment = {
#define FIELD(type, name, kind, ...) alignof(type),
#define END_COMMAND(id) \
    }                   \
    ;
#include "spec/commands.def"

#define COMMAND(id, number, name, access) \
    constexpr auto k##id##Fields = place(k##id##Raw, k##id##Alignment);
#define FIELD(type, name, kind, ...)
#define END_COMMAND(id)
#include "spec/commands.def"

constexpr CommandInfo kCommands[] = {
#define COMMAND(id, number, name, access) \
    {spec::Command::id, name, Access::access, sizeof(spec::id##Attr), k##id##Fields},
#define FIELD(type, name, kind, ...)
#define END_COMMAND(id)
#include "spec/commands.def"
};

static_assert(kMapCreateFields[7].offset == offsetof(spec::MapCreateAttr, map_name));
static_assert(kProgLoadFields.back().offset == offsetof(spec::ProgLoadAttr, log_true_size));
static_assert(kLinkCreateFields[4].offset == offsetof(spec::LinkCreateAttr, iter_info));

}  // namespace

const CommandInfo* find_command(u32 number) {
    for (const CommandInfo& command : kCommands) {
        if (static_cast<u32>(command.command) == number) return &command;
    }
    return nullptr;
}

}  // namespace ebpf::api
