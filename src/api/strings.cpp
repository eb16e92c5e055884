// SPDX-License-Identifier: MIT
// Names of numbers, from the tables of spec/.
#include <bpf/libbpf.h>

#include <cerrno>

#include "api/errors.hpp"
#include "api/session.hpp"
#include "spec/attach_types.hpp"
#include "spec/map_types.hpp"
#include "spec/program_types.hpp"
#include "spec/sections.hpp"

using namespace ebpf;
using spec::Dialect;

extern "C" {

const char* libbpf_bpf_map_type_str(enum bpf_map_type t) {
    if (t == BPF_MAP_TYPE_UNSPEC) return "unspec";
    const auto type = spec::map_type_from_number(Dialect::Linux, t);
    return type ? spec::info(*type).name : nullptr;
}

const char* libbpf_bpf_prog_type_str(enum bpf_prog_type t) {
    if (t == BPF_PROG_TYPE_UNSPEC) return "unspec";
    const auto type = spec::program_type_from_number(Dialect::Linux, t);
    return type ? spec::info(*type).name[static_cast<int>(Dialect::Linux)] : nullptr;
}

const char* libbpf_bpf_attach_type_str(enum bpf_attach_type t) {
    const auto type = spec::attach_type_from_number(Dialect::Linux, t);
    return type ? spec::info(*type).in(Dialect::Linux).name : nullptr;
}

// Linux's enum bpf_link_type, which no table of ours needs otherwise.
const char* libbpf_bpf_link_type_str(enum bpf_link_type t) {
    static constexpr const char* kNames[] = {
        "unspec",       "raw_tracepoint", "tracing",      "cgroup",     "iter",      "netns",
        "xdp",          "perf_event",     "kprobe_multi", "struct_ops", "netfilter", "tcx",
        "uprobe_multi", "netkit",         "sockmap",
    };
    return static_cast<size_t>(t) < std::size(kNames) ? kNames[t] : nullptr;
}

int libbpf_prog_type_by_name(const char* name, enum bpf_prog_type* prog_type,
                             enum bpf_attach_type* expected_attach_type) {
    if (!name || !prog_type || !expected_attach_type) return api::negative(EINVAL);
    const auto rule = spec::find_section(Dialect::Linux, name);
    if (!rule) return api::negative(rule.error());
    const i32 attach = spec::number(Dialect::Linux, (*rule)->attach);
    *prog_type = static_cast<bpf_prog_type>(spec::number(Dialect::Linux, (*rule)->program));
    *expected_attach_type = static_cast<bpf_attach_type>(attach < 0 ? 0 : attach);
    return 0;
}

int libbpf_num_possible_cpus(void) {
    const api::Session* const session = api::session();
    return session ? static_cast<int>(session->possible_cpus) : api::negative(ENOMEM);
}

}  // extern "C"
