// SPDX-License-Identifier: MIT
//
// What section names tell: the type of a program, and which of the two systems an object is for.
//
// The dialects' own section names are rows of spec/, and so is the rule of loaders before
// libbpf 1.0 that a name which begins with one of them counts too (samples/bpf of the kernel:
// "xdp_prog", "socket1", "tc_mark"). What is left stands here, for Linux alone. Old Cilium objects
// are loaded by iproute2 with the type on its command line: their sections are "from-netdev",
// "to-overlay", and "2/7" for slot 7 of the tail-call map with id 2, in objects named bpf_xdp* for
// the XDP hook and bpf_lxc, bpf_lb, bpf_netdev, ... for TC.
#include <algorithm>

#include "engine/object_internal.hpp"
#include "spec/sections.hpp"

namespace ebpf::engine::object {
namespace {

using spec::AttachType;
using spec::Dialect;
using spec::ProgramType;

// Names from before libbpf 1.0 that do not begin with one of libbpf's own.
struct Rule {
    std::string_view prefix;
    ProgramType type;
};
constexpr Rule kOtherNames[] = {
    // Loaded by tc, or by Suricata as a socket filter, which may do nothing that a classifier may
    // not.
    {"filter", ProgramType::SchedCls},
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// "2/7", "1/0xdc06": a slot of a tail-call map.
bool is_tail_call_section(std::string_view name) {
    const std::size_t slash = name.find('/');
    if (slash == 0 || slash == name.npos || slash + 1 == name.size()) return false;
    return std::ranges::all_of(name.substr(0, slash), is_digit) && is_digit(name[slash + 1]);
}

bool is_cilium_section(std::string_view name) {
    return is_tail_call_section(name) || name.starts_with("from-") || name.starts_with("to-");
}

std::string_view base_name(std::string_view path) {
    return path.substr(path.find_last_of("/\\") + 1);
}

// Types whose name, or the size of whose member, only one system's headers have.
struct TypeEvidence {
    std::string_view name;
    Dialect dialect;
    std::string_view member = {};
    u64 member_size = 0;
};
constexpr TypeEvidence kTypes[] = {
    {"xdp_md", Dialect::Linux, "data", 4}, {"xdp_md", Dialect::Windows, "data", 8},
    {"xdp_md_", Dialect::Windows},         {"__sk_buff", Dialect::Linux},
    {"pt_regs", Dialect::Linux},           {"bpf_sock_ops", Dialect::Linux},
    {"_bpf_sock_ops", Dialect::Windows},   {"_bind_md", Dialect::Windows},
    {"bind_md", Dialect::Windows},         {"_sample_program_context", Dialect::Windows},
};

bool is_evidence(const btf::View& types, const btf::Type& type, std::string_view name,
                 const TypeEvidence& evidence) {
    if (name != evidence.name) return false;
    if (evidence.member.empty()) return true;
    const auto member = types.find_member(type, evidence.member);
    const auto size = member ? types.size_of(member->type) : Result<u64>(0);
    return size && *size == evidence.member_size;
}

bool has_type_of(const btf::View& types, Dialect dialect) {
    for (u32 id = 1; id < types.type_count(); ++id) {
        const auto type = types.type(id);
        if (!type || type->kind != btf::Kind::Struct) continue;
        const auto name = types.name(*type);
        if (!name) continue;
        for (const TypeEvidence& evidence : kTypes) {
            if (evidence.dialect == dialect && is_evidence(types, *type, *name, evidence))
                return true;
        }
    }
    return false;
}

}  // namespace

std::optional<SectionType> section_type(Dialect dialect, std::string_view section,
                                        std::string_view object) {
    if (const auto rule = spec::find_section(dialect, section)) {
        return SectionType{(*rule)->program, (*rule)->attach};
    }
    if (dialect != Dialect::Linux) return std::nullopt;
    if (is_cilium_section(section)) {
        const bool xdp = base_name(object).starts_with("bpf_xdp");
        return xdp ? SectionType{ProgramType::Xdp, AttachType::Xdp}
                   : SectionType{ProgramType::SchedCls, AttachType::Unspec};
    }
    if (const auto rule = spec::find_section(dialect, section, spec::SectionNames::Legacy)) {
        return SectionType{(*rule)->program, (*rule)->attach};
    }
    for (const Rule& rule : kOtherNames) {
        if (section.starts_with(rule.prefix)) return SectionType{rule.type, AttachType::Unspec};
    }
    return std::nullopt;
}

// Evidence for a system: a section that only it knows, a type that only its headers have, a record
// size of map definitions that only it uses. Without any, the object means the same in both systems
// only when it calls nothing, has no maps and reads no context.
Status Reader::find_dialect() {
    bool has_linux_maps = false;
    bool has_windows_maps = false;
    for (const elf::Section& section : map_sections_) {
        constexpr u64 kWindowsRecord = 32;
        const u64 symbols = map_symbols_[section.index].size();
        if (symbols == 0) continue;
        const bool windows = section.size == symbols * kWindowsRecord;
        (windows ? has_windows_maps : has_linux_maps) = true;
    }
    if (options_.dialect) {
        object_.dialect = *options_.dialect;
        return {};
    }

    bool linux_evidence = version_.has_value() || has_linux_maps;
    bool windows_evidence = has_windows_maps;
    bool any_shared = false;
    for (const Function& function : functions_) {
        const std::string_view name = code_[function.section].section.name;
        if (name == ".text") continue;
        const bool in_linux = section_type(Dialect::Linux, name, options_.name).has_value();
        const bool in_windows = section_type(Dialect::Windows, name, options_.name).has_value();
        linux_evidence |= in_linux && !in_windows;
        windows_evidence |= in_windows && !in_linux;
        any_shared |= in_linux && in_windows;
    }
    if (object_.btf != nullptr) {
        linux_evidence |= has_type_of(object_.btf->view(), Dialect::Linux);
        windows_evidence |= has_type_of(object_.btf->view(), Dialect::Windows);
    }
    object_.dialect = windows_evidence && !linux_evidence ? Dialect::Windows : Dialect::Linux;
    if (linux_evidence && windows_evidence) {
        return fail(Errc::AmbiguousDialect, {},
                    "sections or types of both Linux and eBPF for Windows");
    }
    if (!linux_evidence && !windows_evidence && any_shared) {
        return fail(Errc::AmbiguousDialect, {}, "no section or type that only one system has");
    }
    return {};
}

}  // namespace ebpf::engine::object
