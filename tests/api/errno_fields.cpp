// SPDX-License-Identifier: MIT
//
// Wrong calls that follow from spec/commands.def: each command once as it is right, then with one
// field after the other at the values that its kind may go wrong with, and with each size of its
// attribute.
#include <cstring>

#include "errno_side.hpp"
#include "spec/command_fields.hpp"

namespace ebpf::tests {
namespace {

using spec::AttrField;
using spec::AttrKind;
using spec::CommandInfo;

constexpr const char* kPath = "/sys/fs/bpf/casement_absent/object";
constexpr std::uint32_t kLoopback = 1;  // in the test's own network namespace

struct Attr {
    alignas(8) unsigned char bytes[8192] = {};

    void set(const AttrField& field, std::uint64_t value) {
        std::memcpy(bytes + field.offset, &value, field.size < 8 ? field.size : 8);
    }
    bpf_attr& get() { return *reinterpret_cast<bpf_attr*>(bytes); }
};

// What a field holds in a call that is right, by its name; 0 for every other.
std::uint64_t right(const Side& side, const CommandInfo& command, std::string_view field) {
    struct Known {
        std::string_view name;
        std::uint64_t value;
    };
    const Known known[] = {
        {"map_fd", side.hash.u32()},
        {"bpf_fd", command.command == spec::Command::ObjGet ? 0 : side.hash.u32()},
        {"prog_fd", side.program.u32()},
        {"new_prog_fd", side.program.u32()},
        {"attach_bpf_fd", side.program.u32()},
        {"link_fd", side.link.u32()},
        {"target_fd", kLoopback},
        {"key", address(side.buffers->a)},
        {"keys", address(side.buffers->a)},
        {"value", address(side.buffers->b)},
        {"values", address(side.buffers->b)},
        {"next_key", address(side.buffers->b)},
        {"out_batch", command.command == spec::Command::MapLookupBatch ||
                              command.command == spec::Command::MapLookupAndDeleteBatch
                          ? address(side.buffers->b + 4096)
                          : 0},
        {"count", 2},
        {"map_type", BPF_MAP_TYPE_HASH},
        {"key_size", 4},
        {"value_size", 8},
        {"max_entries", 4},
        {"prog_type", BPF_PROG_TYPE_XDP},
        {"insns", address(kReturn)},
        {"insn_cnt", 2},
        {"license", address("GPL")},
        {"attach_type", BPF_XDP},
        {"info", address(side.buffers->a)},
        {"info_len", 64},
        {"data_in", address(side.buffers->a)},
        {"data_size_in", 64},
        {"pathname", address(kPath)},
        {"btf", address(side.buffers->a)},
        {"btf_size", 64},
        {"map_id", side.id_of(side.hash)},
        {"prog_id", side.id_of(side.program)},
        {"link_id", side.link.get() >= 0 ? side.id_of(side.link) : 0},
        {"name", address("casement_absent")},
        {"buf_len", 64},
        {"buf", address(side.buffers->a)},
    };
    // Linux's name of what EnableStats and TaskFdQuery take is used for nothing else here.
    for (const Known& one : known) {
        if (one.name == field &&
            !(field == "values" && command.command == spec::Command::MapDeleteBatch)) {
            return one.value;
        }
    }
    return 0;
}

Attr right_call(const Side& side, const CommandInfo& command) {
    Attr attr;
    for (const AttrField& field : command.fields) {
        if (field.kind == AttrKind::Pad || field.kind == AttrKind::Gap) continue;
        attr.set(field, right(side, command, field.name));
    }
    return attr;
}

// What a call may leave behind that no descriptor holds.
void forget(const Side& side) {
    for (const std::uint32_t target : {kLoopback, 9999u, 0xffffffffu}) {
        bpf_attr attr = zeros();
        attr.target_fd = target;
        attr.attach_type = BPF_XDP;
        side.call(BPF_PROG_DETACH, &attr, sizeof attr);
    }
    bpf_attr attr = zeros();
    attr.pathname = address(kPath);
    side.call(static_cast<int>(spec::Command::ObjUnpin), &attr, 8);
}

int ask(const Side& side, const CommandInfo& command, Attr& attr,
        unsigned size = sizeof(bpf_attr)) {
    const int error = answer(side.call, static_cast<int>(command.command), attr.get(), size);
    using enum spec::Command;
    if (command.command == ProgAttach || command.command == ObjPin) forget(side);
    return error;
}

// A wrong value, and what it is called.
struct Wrong {
    std::string name;
    std::function<std::uint64_t(const Side&)> value;
};

Wrong number(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, value < 100'000 ? "%llu" : "%#llx",
                  static_cast<unsigned long long>(value));
    return {text, [value](const Side&) { return value; }};
}

std::vector<Wrong> wrong_numbers(const AttrField& field) {
    // A huge number of runs or of elements behind a small buffer is no wrong call, only a long or
    // a wild one.
    const std::string_view name = field.name;
    if (name == "repeat" || name == "count") {
        return {number(0), number(1), number(7), number(1000)};
    }
    return {number(0), number(1), number(7), number(0x7fffffff), number(0xffffffff)};
}

std::vector<Wrong> wrong_values(const AttrField& field) {
    std::vector<Wrong> values;
    switch (field.kind) {
        case AttrKind::Scalar:
        case AttrKind::InResult:
            values = wrong_numbers(field);
            if (std::string_view(field.name) == "info_len") {
                for (const unsigned n : {4, 79, 80, 88, 4096, 4097}) values.push_back(number(n));
            }
            break;
        case AttrKind::Flags:
            for (int bit = 0; bit < (field.size == 8 ? 64 : 32); bit += bit < 16 ? 1 : 5) {
                values.push_back(number(std::uint64_t{1} << bit));
            }
            break;
        case AttrKind::Number:
            values = {number(0), number(1), number(29), number(1000), number(0xffffffff)};
            break;
        case AttrKind::Id:
            values = {number(0), number(0x7ffffffe), number(0x7fffffff), number(0xffffffff)};
            break;
        case AttrKind::Target:
            values = {number(0), number(9999), number(0xffffffff)};
            break;
        case AttrKind::Fd:
        case AttrKind::OptionalFd:
            values = {{"-1", [](const Side&) { return 0xffffffffu; }},
                      {"closed", [](const Side&) { return 9999u; }},
                      {"a file", [](const Side& s) { return s.file.u32(); }},
                      {"a map", [](const Side& s) { return s.hash.u32(); }},
                      {"a program", [](const Side& s) { return s.program.u32(); }}};
            break;
        case AttrKind::In:
        case AttrKind::Out:
        case AttrKind::InOut:
        case AttrKind::Info:
        case AttrKind::Insns:
        case AttrKind::Fds:
        case AttrKind::Path:
        case AttrKind::String:
        case AttrKind::Log:
            values = {{"null", [](const Side&) { return 0u; }}};
            break;
        case AttrKind::Pad:
        case AttrKind::Gap:
            values = {number(1)};
            break;
        case AttrKind::FdOut:
        case AttrKind::Result:
            values = {number(0xffffffff)};
            break;
        case AttrKind::Name:
            for (const char* name : {"ok.Name_1", "a b", "a-b", "sixteen_letters_"}) {
                std::uint64_t begin = 0;
                std::memcpy(&begin, name, strlen(name) < 8 ? strlen(name) : 8);
                values.push_back(
                    {std::string("\"") + name + "\"", [begin](const Side&) { return begin; }});
            }
            break;
    }
    return values;
}

// Half a pointer is no wrong call but a wild one: in the embedded shape it is a crash.
bool cuts_pointer(const CommandInfo& command, unsigned size) {
    for (const AttrField& field : command.fields) {
        const bool pointer = field.goes_in() || field.comes_out();
        const bool id = field.kind == AttrKind::Id;  // an id's low byte is another id, or none
        if ((pointer || id) && size > field.offset && size < field.offset + u32{field.size})
            return true;
    }
    return false;
}

// Sizes of the attribute, with zeros behind what the command knows, or with a byte that is not.
void add_sizes(std::vector<Row>& rows, const CommandInfo& command, bool with_link) {
    const auto add = [&](unsigned size, unsigned byte) {
        std::string name = std::string(command.name) + ": size " + std::to_string(size);
        if (byte) name += " with byte " + std::to_string(byte);
        rows.push_back({name, with_link, false, [&command, size, byte](const Side& side) {
                            Attr attr = right_call(side, command);
                            if (byte) attr.bytes[byte] = 1;
                            return ask(side, command, attr, size);
                        }});
    };
    for (const unsigned size : {0u, 1u, 4u, 8u, unsigned{command.size} / 2, command.size - 4u,
                                unsigned{command.size}, 144u, 256u, 4096u, 4097u}) {
        if (!cuts_pointer(command, size)) add(size, 0);
    }
    add(144, 143);
    add(512, 511);
    add(4097, 4096);
}

}  // namespace

void add_field_rows(std::vector<Row>& rows) {
    for (const CommandInfo& command : spec::commands()) {
        if (static_cast<u32>(command.command) >= spec::kOwnCommands) continue;
        bool with_link = false;
        for (const AttrField& field : command.fields) {
            with_link |= std::string_view(field.name).starts_with("link_");
        }
        rows.push_back(
            {std::string(command.name) + ": right", with_link, false, [&command](const Side& side) {
                 Attr attr = right_call(side, command);
                 return ask(side, command, attr);
             }});
        for (const AttrField& field : command.fields) {
            for (const Wrong& wrong : wrong_values(field)) {
                rows.push_back({std::string(command.name) + ": " + field.name + " " + wrong.name,
                                with_link, false, [&command, &field, wrong](const Side& side) {
                                    Attr attr = right_call(side, command);
                                    attr.set(field, wrong.value(side));
                                    return ask(side, command, attr);
                                }});
            }
        }
        add_sizes(rows, command, with_link);
    }
}

}  // namespace ebpf::tests
