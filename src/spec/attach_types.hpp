// SPDX-License-Identifier: MIT
// Where programs are attached, as data (attach_types.def).
#pragma once

#include <optional>

#include "spec/guid.hpp"
#include "spec/program_info.hpp"

namespace ebpf::spec {

// Kinds of links. Their numbers differ between the dialects: link_number().
enum class LinkType : u8 {
    None,  // attached without a link
    Plain,
    RawTracepoint,
    Tracing,
    Cgroup,
    Iter,
    Netns,
    Xdp,
    PerfEvent,
    KprobeMulti,
    StructOps,
    Netfilter,
    Tcx,
    UprobeMulti,
    Netkit,
    Sockmap,
};

// What one dialect says about an attach type.
struct AttachTypeColumn {
    i32 number = -1;             // -1: the dialect has no such type
    const char* name = nullptr;  // as its tools print it
    Guid guid{};                 // eBPF for Windows'
    ProgramType program{};       // what is attached there
    LinkType link{};
    bool has_returns = false;  // `returns` replaces the program type's
    ReturnRange returns{};
};

struct AttachTypeInfo {
    AttachType type{};
    AttachTypeColumn columns[kDialectCount] = {};

    constexpr const AttachTypeColumn& in(Dialect dialect) const {
        return columns[static_cast<std::size_t>(dialect)];
    }
};

inline constexpr int kAttachTypeCount = 0
#define ATTACH_TYPE(...) +1
#include "spec/attach_types.def"
    ;

// The row of a type.
const AttachTypeInfo& info(AttachType type);

// The dialect's number of a type, -1 when it has none.
i32 number(Dialect dialect, AttachType type);

// The type that a dialect calls `number`. Linux's 0 is CgroupInetIngress here.
std::optional<AttachType> attach_type_from_number(Dialect dialect, u32 number);

// The same for the attach type that a program is loaded for: 0 means none given (Unspec) where it
// is not a type of this program type. Any other number must belong to the program type.
std::optional<AttachType> expected_attach_type(Dialect dialect, ProgramType program, u32 number);

std::optional<AttachType> attach_type_from_guid(const Guid& guid);

// The range of r0 at exit for a program of `type` that is loaded for `attach` (or Unspec).
ReturnRange return_range(const ProgramTypeInfo& type, AttachType attach);

// bpf_link_type of a dialect, 0 when it has none.
u32 link_number(Dialect dialect, LinkType link);
// "xdp", "cgroup", ...
const char* name(LinkType link);

}  // namespace ebpf::spec
