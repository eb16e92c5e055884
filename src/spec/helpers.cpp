// SPDX-License-Identifier: MIT
#include "spec/helpers.hpp"

#include "spec/helper_table.hpp"

namespace ebpf::spec {

const HelperInfo& info(Helper helper) {
    return helper_table::kRows[static_cast<std::size_t>(helper)].info;
}

i32 number(Dialect dialect, Helper helper) {
    return info(helper).number[static_cast<std::size_t>(dialect)];
}

const HelperProto* prototype(Dialect dialect, Helper helper) {
    const helper_table::Column& column = helper_table::kRows[static_cast<std::size_t>(helper)]
                                             .columns[static_cast<std::size_t>(dialect)];
    return column.number < 0 ? nullptr : &column.proto;
}

std::optional<Helper> helper_from_number(Dialect dialect, u32 number) {
    if (number == 0 || number >= kFirstProgramTypeHelper) return std::nullopt;
    for (const helper_table::Row& row : helper_table::kRows) {
        if (row.info.number[static_cast<std::size_t>(dialect)] == static_cast<i32>(number)) {
            return row.info.id;
        }
    }
    return std::nullopt;
}

}  // namespace ebpf::spec
