// SPDX-License-Identifier: MIT
// Type information and its extension: what validation accepts is then used without reserve.
#include "btf/core.hpp"
#include "btf/types.hpp"

namespace {

using namespace ebpf;

void use(const btf::View& view) {
    for (u32 id = 0; id < view.type_count(); ++id) {
        const Result<btf::Type> type = view.type(id);
        // A validated type is readable, and so is its name.
        if (!type || !view.name(*type) || !view.resolve(id)) __builtin_trap();
        (void)view.size_of(id);
        if (type->is_struct_or_union()) (void)view.find_member(*type, "values");
        for (u32 kind = 0; kind <= btf::kCoreKindCount; ++kind) {
            (void)btf::core_value(view, {.type = id, .access = type->name_offset, .kind = kind});
        }
    }
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
    if (const auto types = btf::Types::parse(bytes)) use((*types)->view());
    if (const auto extension = btf::Extension::open(bytes)) {
        walk(extension->functions);
        walk(extension->lines);
        walk(extension->core);
    }
    return 0;
}
