// SPDX-License-Identifier: MIT
// From the name of an ELF section to a program type (sections.def).
#pragma once

#include "base/error.hpp"
#include "spec/dialect.hpp"
#include "spec/ids.hpp"

namespace ebpf::spec {

enum class SectionMatch : u8 { Exact, Extras, Prefix };

struct SectionRule {
    Dialect dialect{};
    std::string_view name;
    SectionMatch match{};
    ProgramType program{};
    AttachType attach{};  // Unspec: none
    bool sleepable = false;
    bool frags = false;   // the program knows packets in several pieces
    bool target = false;  // what stands behind the slash names what the program is for
};

// How names that no rule matches are taken.
enum class SectionNames : u8 {
    Strict,  // not at all
    Legacy,  // Linux: as libbpf before 1.0 did, the longest rule that the name begins with
};

// All rules; those of one dialect stand together.
std::span<const SectionRule> section_rules();

// The rule for a section, "?" in front (libbpf: do not load by default) not counted. A libbpf name
// matches exactly, or where its rule takes extras with "/..." behind it; an eBPF-for-Windows name
// by the longest prefix. Errors: UnknownSection.
Result<const SectionRule*> find_section(Dialect dialect, std::string_view section,
                                        SectionNames names = SectionNames::Strict);

// What stands behind the rule's name and a slash, or nothing.
std::string_view section_extras(const SectionRule& rule, std::string_view section);

}  // namespace ebpf::spec
