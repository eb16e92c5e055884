// SPDX-License-Identifier: MIT
#include "spec/sections.hpp"

namespace ebpf::spec {
namespace {

constexpr u32 kNone = 0;
constexpr u32 kSleepable = 1;
constexpr u32 kFrags = 2;
constexpr u32 kTarget = 4;

#define SECTION(dialect, name, match, program, attach, bits) \
    {Dialect::dialect,       name,                           \
     SectionMatch::match,    ProgramType::program,           \
     AttachType::attach,     ((bits) & kSleepable) != 0,     \
     ((bits) & kFrags) != 0, ((bits) & kTarget) != 0},
constexpr SectionRule kRules[] = {
#include "spec/sections.def"
};

// "?xdp" is "xdp" that is not loaded unless asked for.
std::string_view without_mark(std::string_view section) {
    if (section.starts_with('?')) section.remove_prefix(1);
    return section;
}

bool matches(const SectionRule& rule, std::string_view section) {
    if (!section.starts_with(rule.name)) return false;
    const std::string_view rest = section.substr(rule.name.size());
    switch (rule.match) {
        case SectionMatch::Exact:
            return rest.empty();
        case SectionMatch::Extras:
            return rest.empty() || (rest.size() > 1 && rest[0] == '/');
        case SectionMatch::Prefix:
            return true;
    }
    return false;
}

}  // namespace

std::span<const SectionRule> section_rules() {
    return kRules;
}

Result<const SectionRule*> find_section(Dialect dialect, std::string_view section,
                                        SectionNames names) {
    section = without_mark(section);
    const SectionRule* best = nullptr;
    const SectionRule* longest = nullptr;
    for (const SectionRule& rule : kRules) {
        if (rule.dialect != dialect || !section.starts_with(rule.name)) continue;
        if (longest == nullptr || rule.name.size() > longest->name.size()) longest = &rule;
        if (!matches(rule, section)) continue;
        if (best == nullptr || rule.name.size() > best->name.size()) best = &rule;
    }
    if (best != nullptr) return best;
    if (names == SectionNames::Legacy && longest != nullptr) return longest;
    return fail(Errc::UnknownSection, {}, "section name");
}

std::string_view section_extras(const SectionRule& rule, std::string_view section) {
    section = without_mark(section);
    if (section.size() <= rule.name.size() || section[rule.name.size()] != '/') return {};
    return section.substr(rule.name.size() + 1);
}

}  // namespace ebpf::spec
