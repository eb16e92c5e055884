// SPDX-License-Identifier: MIT
// Type information and its extension: what validation accepts is then used without reserve.
#include <algorithm>
#include <vector>

#include "btf/core.hpp"
#include "btf/types.hpp"
#include "btf/value.hpp"

namespace {

using namespace ebpf;

void use(const btf::View& view) {
    for (u32 id = 0; id < view.type_count(); ++id) {
        const Result<btf::Type> type = view.type(id);
        // A validated type is readable, and so is its name.
        if (!type || !view.name(*type) || !view.resolve(id)) __builtin_trap();
        (void)view.size_of(id);
        const std::byte value[64] = {};
        (void)btf::walk_value(view, id, value, [](const btf::ValuePart&) {});
        if (type->is_struct_or_union()) (void)view.find_member(*type, "values");
        for (u32 kind = 0; kind <= btf::kCoreKindCount; ++kind) {
            (void)btf::core_value(view, {.type = id, .access = type->name_offset, .kind = kind});
        }
    }
}

// Strings that may be accesses: those that begin with a digit.
std::vector<u32> accesses(const btf::View& view) {
    constexpr std::size_t kMaxAccesses = 8;
    std::vector<u32> found;
    for (u32 at = 0; found.size() < kMaxAccesses;) {
        const auto text = view.string(at);
        if (!text) break;
        if (!text->empty() && text->front() >= '0' && text->front() <= '9') found.push_back(at);
        at += static_cast<u32>(text->size()) + 1;
    }
    return found;
}

// Questions of one side's types to the other's. What has no answer has a reason, and what was
// resolved once stays as it is.
void ask(const btf::Types& local, const btf::Types& target) {
    constexpr u32 kMaxAsked = 24;
    btf::CoreResolver resolver(local.view(), target);
    const std::vector<u32> places = accesses(local.view());
    for (u32 id = 0; id < std::min(local->type_count(), kMaxAsked); ++id) {
        for (const u32 access : places) {
            for (u32 kind = 0; kind < btf::kCoreKindCount; ++kind) {
                const btf::CoreRecord record{.type = id, .access = access, .kind = kind};
                const btf::CoreAnswer& answer = resolver.resolve(record);
                const std::string text = resolver.explain(record);
                if (answer.missing && text.empty()) __builtin_trap();
                if (&resolver.resolve(record) != &answer) __builtin_trap();
            }
        }
    }
}

// Where a section that was parsed ends.
u64 end_of(Bytes section) {
    const auto word = [&](u64 at) { return u64{load_le<u32>(section.data() + at)}; };
    return word(4) + std::max(word(8) + word(12), word(16) + word(20));
}

void walk(btf::InfoReader table) {
    while (!table.at_end()) {
        const Result<btf::InfoSection> section = table.next();
        if (!section) return;
        for (u32 i = 0; i < section->size(); ++i) (void)section->function(i);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    if (const auto types = btf::Types::parse(bytes)) {
        use((*types)->view());
        ask(**types, **types);
        // A second section may follow: the types of a target.
        const Bytes rest = bytes.subspan(end_of(bytes));
        if (const auto target = btf::Types::parse(rest)) ask(**types, **target);
    }
    if (const auto extension = btf::Extension::open(bytes)) {
        walk(extension->functions);
        walk(extension->lines);
        walk(extension->core);
    }
    return 0;
}
