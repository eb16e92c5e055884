// SPDX-License-Identifier: MIT
#include "spec/attach_types.hpp"

namespace ebpf::spec {
namespace {

struct Returns {
    bool given = false;
    ReturnRange range{};
};
constexpr Returns kTypesRange{};
constexpr Returns Range(i64 low, i64 high) {
    return {true, {true, low, high}};
}

constexpr AttachTypeColumn column(i32 number, const char* name, Guid id, ProgramType program,
                                  LinkType link, Returns returns) {
    return {number, name, id, program, link, returns.given, returns.range};
}

#define LINUX(number, name, program, link, returns) \
    column(number, name, Guid{}, ProgramType::program, LinkType::link, returns)
#define WINDOWS(number, name, id, program, link) \
    column(number, name, guid(id), ProgramType::program, LinkType::link, kTypesRange)
#define NONE \
    AttachTypeColumn {}
#define ATTACH_TYPE(id, linux_column, windows_column) \
    {AttachType::id, {linux_column, windows_column}},
constexpr AttachTypeInfo kRows[] = {
#include "spec/attach_types.def"
};

struct LinkRow {
    const char* name;
    u8 number[kDialectCount];
};
// In the order of LinkType; eBPF for Windows knows three kinds.
constexpr LinkRow kLinks[] = {
    {"unspec", {0, 0}},       {"plain", {0, 1}},         {"raw_tracepoint", {1, 0}},
    {"tracing", {2, 0}},      {"cgroup", {3, 2}},        {"iter", {4, 0}},
    {"netns", {5, 0}},        {"xdp", {6, 3}},           {"perf_event", {7, 0}},
    {"kprobe_multi", {8, 0}}, {"struct_ops", {9, 0}},    {"netfilter", {10, 0}},
    {"tcx", {11, 0}},         {"uprobe_multi", {12, 0}}, {"netkit", {13, 0}},
    {"sockmap", {14, 0}},
};
static_assert(sizeof kLinks / sizeof kLinks[0] == static_cast<std::size_t>(LinkType::Sockmap) + 1);

}  // namespace

const AttachTypeInfo& info(AttachType type) {
    return kRows[static_cast<std::size_t>(type)];
}

i32 number(Dialect dialect, AttachType type) {
    return info(type).in(dialect).number;
}

std::optional<AttachType> attach_type_from_number(Dialect dialect, u32 number) {
    for (const AttachTypeInfo& row : kRows) {
        if (row.in(dialect).number == static_cast<i64>(number)) return row.type;
    }
    return std::nullopt;
}

std::optional<AttachType> expected_attach_type(Dialect dialect, ProgramType program, u32 number) {
    const std::optional<AttachType> type = attach_type_from_number(dialect, number);
    if (type && info(*type).in(dialect).program == program) return type;
    if (number == 0) return AttachType::Unspec;
    return std::nullopt;
}

std::optional<AttachType> attach_type_from_guid(const Guid& guid) {
    if (guid.is_null()) return std::nullopt;
    for (const AttachTypeInfo& row : kRows) {
        if (row.in(Dialect::Windows).guid == guid) return row.type;
    }
    return std::nullopt;
}

ReturnRange return_range(const ProgramTypeInfo& type, AttachType attach) {
    const AttachTypeColumn& column = info(attach).in(type.dialect);
    return column.has_returns && column.program == type.type ? column.returns : type.returns;
}

u32 link_number(Dialect dialect, LinkType link) {
    return kLinks[static_cast<std::size_t>(link)].number[static_cast<std::size_t>(dialect)];
}

const char* name(LinkType link) {
    return kLinks[static_cast<std::size_t>(link)].name;
}

}  // namespace ebpf::spec
