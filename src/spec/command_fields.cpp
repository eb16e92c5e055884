// SPDX-License-Identifier: MIT
#include "spec/command_fields.hpp"

#include <array>
#include <cstddef>

namespace ebpf::spec {
namespace {

// A row as it is written: the length expression still text.
struct Raw {
    const char* name;
    u16 size;
    u16 alignment;
    AttrKind kind;
    std::string_view length;
};

constexpr bool is_blank(char c) {
    return c == ' ';
}
constexpr std::string_view trim(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

// Not constexpr: a call is a compile-time error that shows this name.
inline void length_expression_names_no_field_of_its_command() {}

template <size_t N>
consteval u8 index_of(const std::array<Raw, N>& fields, std::string_view name) {
    for (size_t i = 0; i < N; ++i) {
        if (name == fields[i].name) return static_cast<u8>(i);
    }
    length_expression_names_no_field_of_its_command();
    return 0;
}

constexpr bool is_number(std::string_view text) {
    return !text.empty() && text.front() >= '0' && text.front() <= '9';
}
consteval u8 number_of(std::string_view text) {
    u32 value = 0;
    for (const char c : text) value = value * 10 + static_cast<u32>(c - '0');
    return static_cast<u8>(value);
}

template <size_t N>
consteval Length parse(const std::array<Raw, N>& fields, std::string_view text) {
    text = trim(text);
    if (text.empty()) return {};
    if (text == "key_size") return {Length::Kind::Key};
    if (text == "value_size") return {Length::Kind::Value};
    if (text == "batch_keys") return {Length::Kind::BatchKeys, index_of(fields, "count")};
    if (text == "batch_values") return {Length::Kind::BatchValues, index_of(fields, "count")};
    if (text == "fd_array_used") return {Length::Kind::FdArrayUsed};
    const size_t star = text.find('*');
    if (star == std::string_view::npos) return {Length::Kind::Field, index_of(fields, text)};
    const u8 a = index_of(fields, trim(text.substr(0, star)));
    const std::string_view second = trim(text.substr(star + 1));
    if (is_number(second)) return {Length::Kind::Scaled, a, number_of(second)};
    return {Length::Kind::Product, a, index_of(fields, second)};
}

// A row's fields in order; offsets follow from sizes and alignments as in the structure itself,
// which the assertions at the end check.
template <size_t N>
consteval std::array<AttrField, N> place(const std::array<Raw, N>& raw) {
    std::array<AttrField, N> fields{};
    u16 offset = 0;
    for (size_t i = 0; i < N; ++i) {
        offset =
            static_cast<u16>((offset + raw[i].alignment - 1) / raw[i].alignment * raw[i].alignment);
        fields[i] = {raw[i].name, offset, raw[i].size, raw[i].kind, parse(raw, raw[i].length)};
        offset = static_cast<u16>(offset + raw[i].size);
    }
    return fields;
}

#define COMMAND(id, number, name, access) constexpr auto k##id##Fields = place(std::to_array<Raw>({
#define FIELD(type, name, kind, ...) \
    {#name, sizeof(type), alignof(type), AttrKind::kind, #__VA_ARGS__},
#define END_COMMAND(id) \
    }));
#include "spec/commands.def"

constexpr CommandInfo kCommands[] = {
#define COMMAND(id, number, name, access) \
    {Command::id, name, Access::access, sizeof(id##Attr), k##id##Fields},
#define FIELD(type, name, kind, ...)
#define END_COMMAND(id)
#include "spec/commands.def"
};

#define COMMAND(id, number, name, access) static_assert(sizeof(id##Attr) <= kMaxAttrSize);
#define FIELD(type, name, kind, ...)
#define END_COMMAND(id)
#include "spec/commands.def"

static_assert(kMapCreateFields[7].offset == offsetof(MapCreateAttr, map_name));
static_assert(kProgLoadFields.back().offset == offsetof(ProgLoadAttr, log_true_size));
static_assert(kLinkCreateFields[4].offset == offsetof(LinkCreateAttr, iter_info));
static_assert(kProgInstallFields.back().offset == offsetof(ProgInstallAttr, line_offset_cnt));

}  // namespace

std::span<const CommandInfo> commands() {
    return kCommands;
}

const CommandInfo* find_command(u32 number) {
    for (const CommandInfo& command : kCommands) {
        if (static_cast<u32>(command.command) == number) return &command;
    }
    return nullptr;
}

}  // namespace ebpf::spec
