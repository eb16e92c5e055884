// SPDX-License-Identifier: MIT
#include "btf/types.hpp"

namespace ebpf::btf {

Result<std::shared_ptr<const Types>> Types::parse(Bytes section) {
    std::shared_ptr<Types> types(new Types);
    types->bytes_.assign(section.begin(), section.end());
    TRY_ASSIGN(types->view_, View::open(types->bytes_));
    TRY_ASSIGN(const u32 count, types->view_.count_types());
    types->offsets_.resize(count);
    TRY(types->view_.index(types->offsets_));
    TRY(types->view_.validate());
    return types;
}

Result<Type> Types::find(Kind kind, std::string_view name) const {
    for (u32 id = 1; id < view_.type_count(); ++id) {
        TRY_ASSIGN(const Type type, view_.type(id));
        if (type.kind != kind) continue;
        TRY_ASSIGN(const std::string_view its_name, view_.name(type));
        if (its_name == name) return type;
    }
    return fail(Errc::ObjectNotFound, {}, "type name");
}

}  // namespace ebpf::btf
